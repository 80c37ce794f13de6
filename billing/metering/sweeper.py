"""Puts right what died half-way: reservations of dead processes, and of requests past their time.

The ledger comes first: a row that is still reserved ends as abandoned, which costs its account
nothing.  Then the counters are told.  A sweeper may die between the two, so the counters' part can
be derived again: it walks the store's bookings and settles those of dead processes as the ledger
says.  A dead process gets its `ended_at` only when all that is done.

Any number of sweepers may run at once: rows are taken with SKIP LOCKED, and a booking is settled
once, whoever tells the store.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from accounts.postgres import ReadPool
from billing.metering.fence import Fence
from billing.metering.processes import DEAD_AFTER_SECONDS
from billing.metering.quota import HeldBooking, Quota
from billing.metering.rows import HOW_ENDED, Ended

# After a pause of Postgres every heartbeat is stale for a moment.  So a process is dead only if it
# has not beaten when it is looked at again, either.
LOOK_AGAIN_SECONDS: Final = 4.0
_GRACE_SECONDS: Final = 30
_BATCH: Final = 500

_ALIVE: Final = f"ended_at IS NULL AND heartbeat_at >= now() - interval '{DEAD_AFTER_SECONDS} s'"
_STALE: Final = f"""
SELECT id FROM billing_gatewayprocess
 WHERE ended_at IS NULL AND heartbeat_at < now() - interval '{DEAD_AFTER_SECONDS} s'
"""  # noqa: S608  (our own figures)
# Ended processes and those without a row among them.
_HOLDERS: Final = f"""
SELECT DISTINCT process_id FROM billing_ledgerentry
 WHERE status = 'reserved'
   AND process_id NOT IN (SELECT id FROM billing_gatewayprocess WHERE {_ALIVE})
"""  # noqa: S608  (the same)
# Each row is judged in the statement that ends it.  A row that somebody else holds a lock on is
# just being ended, by its own process or another sweeper: waiting for it could be a deadlock.
_ABANDON: Final = f"""
UPDATE billing_ledgerentry
   SET status = 'abandoned', charged = false, ended_at = now(),
       error_code = CASE WHEN process_id = ANY(%(dead)s)
                         THEN 'process_died' ELSE 'deadline_exceeded' END
 WHERE status = 'reserved' AND id IN (
       SELECT id FROM billing_ledgerentry
        WHERE status = 'reserved'
          AND (deadline_at < now() - interval '{_GRACE_SECONDS} s'
               OR process_id = ANY(%(dead)s)
              AND process_id NOT IN (SELECT id FROM billing_gatewayprocess WHERE {_ALIVE}))
        LIMIT {_BATCH} FOR UPDATE SKIP LOCKED)
RETURNING account_id, id, CASE WHEN address_counted THEN host(address) END
"""  # noqa: S608  (the same)
_LIVING: Final = f"""
SELECT coalesce(array_agg(id), '{{}}'), extract(epoch FROM now())
  FROM billing_gatewayprocess WHERE {_ALIVE}
"""  # noqa: S608  (the same)
_DONE: Final = f"""
UPDATE billing_gatewayprocess SET ended_at = now()
 WHERE id = ANY(%s) AND id IN ({_STALE})
"""  # noqa: S608  (the same)
_PRUNE: Final = """
DELETE FROM billing_gatewayprocess WHERE heartbeat_at < now() - interval '1 day' RETURNING id
"""

_GIVEN_BACK: Final = Ended("failed", charged=False, tokens=0)


@dataclass(frozen=True, slots=True)
class Swept:
    """What one sweep did: rows abandoned, bookings settled that no live process would settle."""

    abandoned: int
    settled: int


class Sweeper:
    """Sweeps.  On PostgresUnavailable or QuotaUnavailable the next sweep goes on from there."""

    def __init__(
        self,
        pool: ReadPool,
        quota: Quota,
        fence: Fence | None = None,
        *,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._pool = pool
        self._quota = quota
        self._fence = fence
        self._sleep = sleep

    async def sweep(self, *, walk: bool = False) -> Swept:
        """One sweep.  It walks the store's bookings when a process has died, or if told to."""
        if self._fence is not None:
            await self._fence.refresh()
        stale = [row[0] for row in await self._pool.fetch(_STALE)]
        holders = [row[0] for row in await self._pool.fetch(_HOLDERS)]
        if stale or holders:
            await self._sleep(LOOK_AGAIN_SECONDS)
        abandoned = await self._abandon([*stale, *holders])
        settled = await self._settle_lost_bookings() if stale or walk else 0
        if stale:
            await self._pool.fetch(_DONE, (stale,))
        await self._pool.fetch(_PRUNE)
        return Swept(abandoned, settled)

    async def _abandon(self, dead: list[uuid.UUID]) -> int:
        count = 0
        while rows := await self._pool.fetch(_ABANDON, {"dead": dead}):
            if self._fence is not None:  # those of a later generation are summed without these rows
                await self._fence.refresh()
            for account_id, request_id, address in rows:
                await self._settle(account_id, request_id, _GIVEN_BACK, address)
            count += len(rows)
        return count

    async def _settle(
        self, account_id: uuid.UUID, request_id: uuid.UUID, ended: Ended, address: str | None
    ) -> None:
        if self._fence is None or self._fence.in_redis:
            await self._quota.settle(
                account_id, request_id, charged=ended.charged, tokens=ended.tokens, address=address
            )

    async def _settle_lost_bookings(self) -> int:
        if self._fence is not None and not self._fence.in_redis:
            return 0
        # First the bookings, then who lives: a booking of a process that is dead *afterwards* was
        # made before it died, or without a heartbeat, and then it is not run (`lived_since`).
        held = await self._quota.held()
        ((living, now),) = await self._pool.fetch(_LIVING)
        overdue_ms = (float(now) - _GRACE_SECONDS) * 1000
        lost = [one for one in held if one.process_id not in living or one.deadline_ms < overdue_ms]
        count = 0
        for start in range(0, len(lost), _BATCH):
            count += await self._settle_as_ended(lost[start : start + _BATCH])
        return count

    async def _settle_as_ended(self, lost: Sequence[HeldBooking]) -> int:
        ids = [one.request_id for one in lost]
        found = await self._pool.fetch(HOW_ENDED, {"ids": ids})
        rows = {row[0]: Ended(*row[1:]) for row in found}
        count = 0
        for one in lost:
            ended = rows.get(one.request_id, _GIVEN_BACK)  # without one, it never ran
            if ended.status != "reserved":  # else a later sweep abandons it first
                await self._settle(one.account_id, one.request_id, ended, one.address)
                count += 1
        return count
