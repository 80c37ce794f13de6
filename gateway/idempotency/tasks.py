"""Celery's entry point to the pruning."""

import logging

from celery import shared_task
from django.db import connection
from django.utils import timezone

from gateway.idempotency.pruning import prune

logger = logging.getLogger(__name__)


@shared_task  # type: ignore[untyped-decorator]  # celery has no types
def prune_stored_answers() -> None:
    """Deletes the answers that are a day old."""
    if pruned := prune(connection, timezone.now()):
        logger.info("pruned %d stored answers", pruned)
