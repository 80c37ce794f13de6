"""The Celery application: `celery -A scalix worker` and `celery -A scalix beat`."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "scalix.settings")

app = Celery("scalix")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["billing.metering", "gateway.health"])
app.conf.beat_schedule = {
    "abandon-the-reservations-of-dead-processes": {
        "task": "billing.metering.tasks.sweep",
        "schedule": 5.0,
        "options": {"expires": 5},
    },
    "settle-bookings-that-nobody-else-will": {
        "task": "billing.metering.tasks.sweep",
        "kwargs": {"walk": True},
        "schedule": 600.0,
        "options": {"expires": 600},
    },
    "create-ledger-partitions-ahead": {
        "task": "billing.metering.tasks.create_partitions",
        "schedule": 3_600.0,  # cheap; a beat that is often restarted never comes to a day
    },
    "probe-deployments": {
        "task": "gateway.health.tasks.probe_deployments",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
}
