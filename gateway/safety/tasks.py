"""Celery's entry points to the detection of abuse."""

import datetime as dt
from typing import Final

from celery import shared_task
from django.utils import timezone

from gateway.safety import detection

LOOK_SECONDS: Final = 5.0
_LOOKS_BACK: Final = dt.timedelta(seconds=20)
"""More than there is between two looks, and than what is written late is late."""


@shared_task  # type: ignore[untyped-decorator]  # celery has no types
def detect_abuse() -> None:
    """Judges whoever was active just now."""
    now = timezone.now()
    turn = int(now.timestamp() / LOOK_SECONDS) % detection.TURNS
    detection.look(now, now - _LOOKS_BACK, turn=turn)


@shared_task  # type: ignore[untyped-decorator]  # celery has no types
def prune_fingerprints() -> None:
    """Deletes old fingerprints."""
    detection.prune(timezone.now())
