"""Celery's entry points to probes, quality and days."""

import asyncio
import datetime as dt
import logging
from collections.abc import Iterable
from typing import Final

from celery import shared_task
from django.db import DatabaseError, transaction
from django.utils import timezone

from accounts.postgres import PostgresUnavailable
from gateway.health import days, minutes, quality, reports
from gateway.health.models import HealthEvent
from gateway.health.probe import Probe, probe_usable
from gateway.models import Deployment, ProbeResult

logger = logging.getLogger(__name__)

_KEPT: Final = dt.timedelta(days=7)
_EVENTS_KEPT: Final = dt.timedelta(days=400)


@shared_task  # type: ignore[untyped-decorator]  # celery has no types
def probe_deployments() -> None:
    """Probes the deployments and keeps the results for a week."""
    _probe(only=None)
    ProbeResult.objects.filter(probed_at__lt=timezone.now() - _KEPT).delete()


@shared_task  # type: ignore[untyped-decorator]  # celery has no types
def probe_those_on_trial() -> None:
    """Probes the deployments that lost their places: few callers come to them who would show it."""
    if names := quality.names_on_trial(timezone.now()):
        _probe(only=names)


@shared_task  # type: ignore[untyped-decorator]  # celery has no types
def judge_quality() -> None:
    """Sums what was answered, and moves deployments by it; what this run can't, the next one does.

    A run beside another one judges by the same minutes and finds nothing left to change.
    """
    try:
        minutes.roll_up()
        quality.judge_all()
        reports.drop_the_dead()
    except DatabaseError as error:
        logger.warning("quality was not judged: %s", error)


@shared_task  # type: ignore[untyped-decorator]  # celery has no types
def roll_up_days() -> None:
    """Sums availability by the day, and deletes what is too old to be looked at."""
    now = timezone.now()
    try:
        days.roll_up(now)
        minutes.prune(now)
        HealthEvent.objects.filter(at__lt=now - _EVENTS_KEPT).delete()
    except DatabaseError as error:
        logger.warning("the days were not summed: %s", error)


def _probe(only: frozenset[str] | None) -> None:
    try:
        probes = asyncio.run(probe_usable(only=only))
    except PostgresUnavailable as error:
        logger.warning("nothing was probed: %s", error)
        return
    store(probes)


@transaction.atomic
def store(probes: list[Probe]) -> None:
    """Saves the results; one of a deployment that was deleted meanwhile has no place any more."""
    ids = dict(Deployment.objects.values_list("name", "id"))
    known = [one for one in probes if one.deployment in ids]
    HealthEvent.objects.bulk_create(_turns(known))
    ProbeResult.objects.bulk_create(
        ProbeResult(
            deployment_id=ids[one.deployment],
            succeeded=one.succeeded,
            latency_ms=one.latency_ms,
            error=one.error[:300],
        )
        for one in known
    )
    for one in probes:
        if not one.succeeded:
            logger.warning("the probe of %s failed: %s", one.deployment, one.error)


def _turns(probes: Iterable[Probe]) -> list[HealthEvent]:
    """The events of those whose last probe went the other way; that of a first one was good."""
    names = [one.deployment for one in probes]
    latest = ProbeResult.objects.filter(deployment__name__in=names)
    latest = latest.order_by("deployment_id", "-probed_at").distinct("deployment_id")
    before = dict(latest.values_list("deployment__name", "succeeded"))
    kind = HealthEvent.Kind
    return [
        HealthEvent(
            deployment=one.deployment,
            kind=kind.PROBE_ANSWERED if one.succeeded else kind.PROBE_FAILED,
            text=(one.error or f"Answered in {one.latency_ms:,} ms.")[:300],
        )
        for one in probes
        if one.succeeded != before.get(one.deployment, True)
    ]
