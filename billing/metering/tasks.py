"""Celery's entry points: each loads what it needs and calls the function."""

import asyncio
import datetime as dt
import logging

from celery import shared_task
from django.conf import settings
from django.db import connection

from accounts.identifiers import uuid7
from accounts.postgres import PostgresUnavailable, ReadPool
from billing.metering import partitions
from billing.metering.fence import Fence
from billing.metering.quota import Quota, QuotaUnavailable
from billing.metering.redis_store import RedisStore
from billing.metering.sums import LedgerSums
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


async def _sweep(*, walk: bool) -> Swept:
    pool = ReadPool(size=1)
    store = RedisStore(settings.REDIS_URL)
    fence = Fence(pool, store.ping)
    quota = Quota(store, process_id=uuid7(), ledger=LedgerSums(pool), generation=fence)
    try:
        return await Sweeper(pool, quota, fence).sweep(walk=walk)
    finally:
        await store.close()
        await pool.close()
