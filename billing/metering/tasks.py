"""Celery's entry points: each loads what it needs and calls the function."""

import asyncio
import datetime as dt
import logging

from celery import shared_task
from django.db import DatabaseError, connection

from accounts.postgres import PostgresUnavailable
from billing.metering import partitions, retention, rollups
from billing.metering.quota import QuotaUnavailable
from billing.metering.standing import opened
from billing.metering.sweeper import Sweeper, Swept

logger = logging.getLogger(__name__)


@shared_task  # type: ignore[untyped-decorator]  # celery has no types
def sweep(*, walk: bool = False) -> None:
    """Abandons the reservations of dead processes; the next one tries again what this one can't.

    `walk`: looks at all bookings even if no process has died.
    """
    try:
        swept = asyncio.run(_sweep(walk=walk))
    except (PostgresUnavailable, QuotaUnavailable) as error:
        logger.warning("the sweep stopped: %s", error)
        return
    if swept.abandoned or swept.settled:
        logger.warning(
            "swept up %d reservations and %d bookings of dead processes",
            swept.abandoned,
            swept.settled,
        )


@shared_task  # type: ignore[untyped-decorator]  # celery has no types
def create_partitions() -> None:
    """Creates the ledger's partitions for the coming months."""
    for name in partitions.create_partitions(connection, dt.datetime.now(dt.UTC).date()):
        logger.info("created %s", name)


@shared_task  # type: ignore[untyped-decorator]  # celery has no types
def roll_up() -> None:
    """Brings the roll-ups up to now; what this run can't, the next one does."""
    try:
        rollups.roll_up()
    except DatabaseError as error:
        logger.warning("the roll-up stopped: %s", error)


@shared_task  # type: ignore[untyped-decorator]  # celery has no types
def prune() -> None:
    """Drops the months that are no longer kept; what this run can't, a later one does."""
    try:
        retention.prune(dt.datetime.now(dt.UTC).date())
    except DatabaseError as error:
        logger.warning("the pruning stopped: %s", error)


async def _sweep(*, walk: bool) -> Swept:
    async with opened() as stores:
        return await Sweeper(stores.pool, stores.quota, stores.fence).sweep(walk=walk)
