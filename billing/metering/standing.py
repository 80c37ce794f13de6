"""Where one account stands, for synchronous code outside the gateway's processes."""

import uuid

from asgiref.sync import async_to_sync
from django.conf import settings

from accounts.identifiers import uuid7
from accounts.postgres import ReadPool
from billing.metering.quota import Quota
from billing.metering.sums import LedgerSums
from billing.metering.usage import Usage
from billing.plans import PlanBook


@async_to_sync
async def usage_now(user_id: uuid.UUID) -> Usage:
    """A user's limits and counters, from the store that admission decides by; books nothing.

    Opens its own connections.  Raises QuotaUnavailable or PostgresUnavailable.
    """
    pool = ReadPool(size=1)
    quota = Quota(settings.REDIS_URL, process_id=uuid7(), ledger=LedgerSums(pool))
    try:
        plans = PlanBook(pool)
        await plans.refresh()
        return await quota.peek(user_id, await plans.limits_for_user(user_id))
    finally:
        await quota.close()
        await pool.close()


@async_to_sync
async def forget(account_id: uuid.UUID) -> None:
    """Makes the counters sum an account anew, from the ledger as it is now.

    Opens its own connections.  Raises QuotaUnavailable or PostgresUnavailable.
    """
    pool = ReadPool(size=1)
    quota = Quota(settings.REDIS_URL, process_id=uuid7(), ledger=LedgerSums(pool))
    try:
        await quota.forget(account_id)
    finally:
        await quota.close()
        await pool.close()
