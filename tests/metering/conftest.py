"""Rows, requests and limits, with what a test doesn't care about filled in."""

import datetime as dt
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
import redis

from accounts.identifiers import uuid7
from accounts.postgres import ReadPool, connect
from billing.metering.cluster_slots import PARTITIONS
from billing.metering.fence import FIRST
from billing.metering.quota import Quota, QuotaRequest
from billing.metering.redis_store import Clock, RedisStore
from billing.metering.rows import Ending, Intent
from billing.metering.sums import AddressRequest, LedgerReader, LedgerSum
from billing.plans import Limits
from tests.waiting import until

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
FREE = Limits("free", 10, 50, 10_000, 2, 32_768, 10_000, 1_024)
UNLIMITED = Limits("pro", None, None, None, 1_000, None, None, None)


def limits(**values: int | None) -> Limits:
    """No limits but these."""
    return replace(UNLIMITED, **values)


def a_request(account_id: uuid.UUID, limits: Limits = FREE, **values: Any) -> QuotaRequest:
    """A request for 10 + 10 tokens, to be booked."""
    return QuotaRequest(
        **{
            "request_id": uuid7(),
            "account_id": account_id,
            "limits": limits,
            "prompt_tokens": 10,
            "output_tokens": 10,
            "least_output_tokens": 1,
            "deadline_ms": 4_102_444_800_000,
            **values,
        }
    )


def an_intent(**values: Any) -> Intent:
    """An admitted request's row, of 20 reserved tokens."""
    now = dt.datetime.now(dt.UTC)
    return Intent(
        **{
            "id": uuid7(),
            "account_id": uuid7(),
            "token_id": None,
            "tier": "free",
            "model": "scalix-free",
            "streamed": False,
            "reserved_tokens": 20,
            "admitted_at": now,
            "deadline_at": now + dt.timedelta(minutes=5),
            "process_id": uuid7(),
            **values,
        }
    )


def settled(request_id: uuid.UUID, **values: Any) -> Ending:
    """The ending of an answered request, 7 + 5 tokens."""
    return Ending(
        **{
            "id": request_id,
            "status": "settled",
            "charged": True,
            "ended_at": dt.datetime.now(dt.UTC),
            "prompt_tokens": 7,
            "completion_tokens": 5,
            **values,
        }
    )


def failed(request_id: uuid.UUID, **values: Any) -> Ending:
    """The ending of a request that delivered nothing."""
    return Ending(request_id, "failed", charged=False, ended_at=dt.datetime.now(dt.UTC), **values)


def old_epochs() -> dict[str, int]:
    """What a counter store that has been there for long knows of itself."""
    tags = [f"{{{kind}{number:03}}}" for kind in "pa" for number in range(PARTITIONS)]
    return {f"scalix:{tag}:{FIRST}:epoch": 1 for tag in tags}


class LedgerView:
    """What is committed."""

    def __init__(self, reads: ReadPool) -> None:
        self._reads = reads

    async def status(self, request_id: uuid.UUID) -> str | None:
        """A row's status; None if there is no such row."""
        rows = await self._reads.fetch(
            "SELECT status FROM billing_ledgerentry WHERE id = %s", (request_id,)
        )
        return rows[0][0] if rows else None

    async def statuses(self) -> dict[uuid.UUID, str]:
        """Every row's."""
        return dict(await self._reads.fetch("SELECT id, status FROM billing_ledgerentry"))


@asynccontextmanager
async def writes_held_up(reads: ReadPool) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """No ledger row can be written inside, though all can be read: another one holds a lock.

    Gives a function that returns once somebody waits for that lock.
    """

    async def somebody_waits() -> bool:
        return bool(
            await reads.fetch(
                "SELECT 1 FROM pg_locks WHERE NOT granted AND mode = 'RowExclusiveLock'"
            )
        )

    connection = await connect(5)
    await connection.execute("BEGIN")
    await connection.execute("LOCK TABLE billing_ledgerentry IN SHARE MODE")
    yield lambda: until(somebody_waits)
    await connection.close()


@pytest.fixture
def committed(reads: ReadPool) -> LedgerView:
    """What another connection sees of the ledger."""
    return LedgerView(reads)


class NothingSpent:
    """A ledger without rows."""

    async def sum_account(self, account_id: uuid.UUID, at_ms: int) -> LedgerSum:
        return LedgerSum(at_ms // HOUR_MS, 0, at_ms // DAY_MS, 0, 0, ())

    async def list_address(self, address: str, at_ms: int) -> tuple[AddressRequest, ...]:
        return ()


class ClockedQuota(Quota):
    """A Quota with the hands of its clock outside; 0 is the store's own clock."""

    def __init__(self, store: RedisStore, clock_ms: int, **values: Any) -> None:
        self._clock = Clock(clock_ms)
        super().__init__(store, clock=self._clock, **values)

    @property
    def clock_ms(self) -> int:
        return self._clock.ms

    @clock_ms.setter
    def clock_ms(self, ms: int) -> None:
        self._clock.ms = ms

    @property
    def ledger(self) -> LedgerReader:
        return self._accounts.ledger


NewQuota = Callable[..., ClockedQuota]


@pytest.fixture
async def new_quota(redis_url: str, flush: "redis.Redis") -> AsyncIterator[NewQuota]:
    """Makes Quotas over one empty store, as of several processes; over an empty ledger by default.

    Nothing of a slow commit's sort is awaited in them, unless `commit_bound` is given.
    """
    async with AsyncExitStack() as stack:

        def make(ledger: LedgerReader | None = None, clock_ms: int = 0, **values: Any) -> Quota:
            values = {"process_id": uuid7(), "commit_bound": 0, **values}
            store = RedisStore(redis_url)
            stack.push_async_callback(store.close)
            return ClockedQuota(store, clock_ms, ledger=ledger or NothingSpent(), **values)

        yield make


@pytest.fixture
def account_id() -> uuid.UUID:
    """Somebody who has used nothing."""
    return uuid7()
