"""The Celery application: `celery -A scalix worker` and `celery -A scalix beat`."""

import os
from typing import Any

from celery import Celery
from celery.signals import worker_ready

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "scalix.settings")

app = Celery("scalix")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(
    [
        "billing.metering",
        "billing.payments",
        "gateway.health",
        "gateway.idempotency",
        "gateway.safety",
    ]
)
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
    "sum-the-ledger-by-hour-and-day": {
        "task": "billing.metering.tasks.roll_up",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    "drop-the-months-that-are-not-kept": {
        "task": "billing.metering.tasks.prune",
        "schedule": 3_600.0,  # as above: whole months, daily at least
        "options": {"expires": 3_600},
    },
    "act-on-the-inbox-of-payments": {
        "task": "billing.payments.tasks.drain_inbox",
        "schedule": 2.0,
        "options": {"expires": 2},
    },
    "look-for-lost-payments": {
        "task": "billing.payments.tasks.reconcile",
        "schedule": 600.0,
        "options": {"expires": 600},
    },
    "send-the-mails-that-are-owed": {
        "task": "billing.payments.tasks.send_mails",
        "schedule": 10.0,
        "options": {"expires": 10},
    },
    "prune-stored-answers": {
        "task": "gateway.idempotency.tasks.prune_stored_answers",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    "look-for-abuse": {
        "task": "gateway.safety.tasks.detect_abuse",
        "schedule": 5.0,
        "options": {"expires": 5},
    },
    "delete-old-fingerprints": {
        "task": "gateway.safety.tasks.prune_fingerprints",
        "schedule": 3_600.0,
        "options": {"expires": 3_600},
    },
    "probe-deployments": {
        "task": "gateway.health.tasks.probe_deployments",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    "probe-deployments-on-trial": {
        "task": "gateway.health.tasks.probe_those_on_trial",
        "schedule": 10.0,
        "options": {"expires": 10},
    },
    "judge-quality": {
        "task": "gateway.health.tasks.judge_quality",
        "schedule": 15.0,
        "options": {"expires": 15},
    },
    "sum-availability-by-day": {
        "task": "gateway.health.tasks.roll_up_days",
        "schedule": 300.0,
        "options": {"expires": 300},
    },
}


@worker_ready.connect  # type: ignore[untyped-decorator]  # celery has no types
def look_for_what_was_missed(sender: Any, **_: Any) -> None:
    """A worker that starts doesn't wait for the beat's ten minutes."""
    sender.app.send_task("billing.payments.tasks.reconcile", expires=600)
