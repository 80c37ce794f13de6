"""Celery's entry points of payments: each loads what it needs and calls the function."""

import logging
from typing import Final

from celery import current_app, shared_task
from django.conf import settings
from django.utils import timezone
from kombu.exceptions import OperationalError as BrokerError

from billing import mails
from billing.payments import inbox
from billing.payments.reconcile import reconcile as reconcile_all
from billing.payments.stripe_api import StripeError, worker_api

logger = logging.getLogger(__name__)


_QUICKLY: Final = {"max_retries": 0, "socket_connect_timeout": 0.3, "socket_timeout": 0.3}


def hurry() -> None:
    """Asks the worker to drain the inbox now.

    The beat would within seconds, so a queue that is away costs a moment and nothing else.
    """
    try:
        with current_app.connection_for_write() as connection:
            connection.transport_options = {**connection.transport_options, **_QUICKLY}
            drain_inbox.apply_async(connection=connection, retry=False, expires=60)
    except (BrokerError, OSError) as error:
        logger.warning("the queue is away (%s); the beat will drain the inbox", error)


@shared_task  # type: ignore[untyped-decorator]  # celery has no types
def drain_inbox() -> None:
    """Acts on what waits in the inbox, and on tiers whose time is over."""
    if settings.PAYMENTS:
        inbox.drain(worker_api())


@shared_task  # type: ignore[untyped-decorator]  # celery has no types
def reconcile() -> None:
    """Looks for what was lost; the next run looks again where this one can't."""
    if not settings.PAYMENTS:
        return
    try:
        found = reconcile_all(worker_api())
    except StripeError as error:
        logger.warning("reconciling stopped: %s", error)
        return
    if found.lost_events or found.differing:
        logger.warning(
            "the reconciler found %d lost events and %d customers that differed",
            found.lost_events,
            found.differing,
        )


@shared_task  # type: ignore[untyped-decorator]  # celery has no types
def send_mails() -> None:
    """Sends the mails that are owed."""
    mails.send_due(timezone.now())
