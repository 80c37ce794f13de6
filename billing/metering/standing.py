"""The counters for code outside the gateway's processes: tasks, commands, the admin."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from asgiref.sync import async_to_sync
from django.conf import settings

from accounts.identifiers import uuid7
from accounts.postgres import ReadPool
from billing.metering.fence import Fence
from billing.metering.quota import Quota
from billing.metering.redis_store import RedisStore
from billing.metering.sums import LedgerSums
from billing.metering.usage import Usage
from billing.plans import PlanBook


@dataclass(frozen=True, slots=True)
class Stores:
    """Connections of its own to both stores, and what reads them."""

    pool: ReadPool
    fence: Fence
    quota: Quota


@asynccontextmanager
async def opened() -> AsyncIterator[Stores]:
    """The stores for the length of a `with`, in the generation that counts now.

    Raises PostgresUnavailable.
    """
    pool = ReadPool(size=1)
    store = RedisStore(settings.REDIS_URL)
    fence = Fence(pool, store.ping)
    quota = Quota(store, process_id=uuid7(), ledger=LedgerSums(pool), generation=fence)
    try:
        await fence.refresh()
        yield Stores(pool, fence, quota)
    finally:
        await store.close()
        await pool.close()


@async_to_sync
async def usage_now(user_id: uuid.UUID) -> Usage:
    """A user's limits and counters, from the store that admission decides by; books nothing.

    Raises QuotaUnavailable or PostgresUnavailable.
    """
    async with opened() as stores:
        plans = PlanBook(stores.pool)
        await plans.refresh()
        return await stores.quota.peek(user_id, await plans.limits_for_user(user_id))


@async_to_sync
async def forget(
    account_id: uuid.UUID, *, taken_back: uuid.UUID | None = None, address: str | None = None
) -> None:
    """Makes the counters sum an account anew, from the ledger as it is now.

    `taken_back`: this request no longer counts, nor at its `address` if it did there.  Raises
    QuotaUnavailable or PostgresUnavailable.
    """
    async with opened() as stores:
        if not stores.fence.in_redis:  # the ledger itself is what counts
            return
        if taken_back is not None:
            await stores.quota.settle(
                account_id, taken_back, charged=False, tokens=0, address=address
            )
        await stores.quota.forget(account_id)
