"""Where one account stands, for synchronous code outside the gateway's processes: the admin."""

import uuid

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


@async_to_sync
async def usage_now(user_id: uuid.UUID) -> Usage:
    """A user's limits and counters, from the store that admission decides by; books nothing.

    Opens its own connections.  Raises QuotaUnavailable or PostgresUnavailable.
    """
    pool = ReadPool(size=1)
    store = RedisStore(settings.REDIS_URL)
    fence = Fence(pool, store.ping)
    quota = Quota(store, process_id=uuid7(), ledger=LedgerSums(pool), generation=fence)
    try:
        plans = PlanBook(pool)
        await plans.refresh()
        await fence.refresh()
        return await quota.peek(user_id, await plans.limits_for_user(user_id))
    finally:
        await store.close()
        await pool.close()
