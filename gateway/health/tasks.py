"""Celery's entry point to the probes."""

import asyncio
import datetime as dt
import logging
from typing import Final

from celery import shared_task
from django.utils import timezone

from accounts.postgres import PostgresUnavailable
from gateway.health.probe import Probe, probe_usable
from gateway.models import Deployment, ProbeResult

logger = logging.getLogger(__name__)

_KEPT: Final = dt.timedelta(days=7)


@shared_task  # type: ignore[untyped-decorator]  # celery has no types
def probe_deployments() -> None:
    """Probes the deployments and keeps the results for a week."""
    try:
        probes = asyncio.run(probe_usable())
    except PostgresUnavailable as error:
        logger.warning("nothing was probed: %s", error)
        return
    store(probes)
    ProbeResult.objects.filter(probed_at__lt=timezone.now() - _KEPT).delete()


def store(probes: list[Probe]) -> None:
    """Saves the results; one of a deployment that was deleted meanwhile has no place any more."""
    ids = dict(Deployment.objects.values_list("name", "id"))
    ProbeResult.objects.bulk_create(
        ProbeResult(
            deployment_id=ids[one.deployment],
            succeeded=one.succeeded,
            latency_ms=one.latency_ms,
            error=one.error[:300],
        )
        for one in probes
        if one.deployment in ids
    )
    for one in probes:
        if not one.succeeded:
            logger.warning("the probe of %s failed: %s", one.deployment, one.error)
