"""A window that ends between the bookings of account and address: both count in the same one."""

import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis

from accounts.identifiers import uuid7
from billing.metering.quota import QuotaRefused
from billing.metering.redis_store import ACCOUNT, Call, RedisStore
from tests.metering.conftest import HOUR_MS, ClockedQuota, NothingSpent, a_request, limits

ADDRESS = "192.0.2.7"
TURN_MS = 500_000 * HOUR_MS
LIMITED = limits(address_accounts_per_hour=2, address_requests_per_minute=5)


class Turning(RedisStore):
    """The clock moves on by a millisecond after each booking of an account, if it is told to."""

    quota: ClockedQuota
    turns = False

    async def run(self, *calls: Call) -> list[list[Any]]:
        answers = await super().run(*calls)
        if self.turns and (calls[0].script, calls[0].arguments[0]) == (ACCOUNT, "reserve"):
            self.quota.clock_ms += 1
        return answers


@pytest.fixture
async def store(redis_url: str, flush: "redis.Redis") -> AsyncIterator[Turning]:
    store = Turning(redis_url)
    store.quota = ClockedQuota(
        store, TURN_MS - 1, ledger=NothingSpent(), process_id=uuid7(), commit_bound=0
    )
    yield store
    await store.close()


async def counted(store: Turning, account_id: uuid.UUID) -> tuple[int, int]:
    """The hour's requests of the account, and of its address."""
    usage = await store.quota.peek(account_id, LIMITED, address=ADDRESS)
    assert usage.address is not None
    return usage.counters.hour_requests, usage.address.hour_requests


@pytest.mark.parametrize("length_ms", [60_000, HOUR_MS], ids=["minute", "hour"])
async def test_both_count_it_in_the_window_of_its_row(store: Turning, length_ms: int) -> None:
    store.quota.clock_ms = TURN_MS + length_ms - 1
    await store.quota.peek(uuid7(), LIMITED, address=ADDRESS)  # it is known
    account_id, store.turns = uuid7(), True

    booking = await store.quota.reserve(a_request(account_id, LIMITED, address=ADDRESS))

    store.turns = False
    assert booking.usage.counters.at_ms >= TURN_MS + length_ms
    assert booking.usage.address is not None
    assert booking.usage.address.minute_requests == 1
    assert await counted(store, account_id) == (1, 1)


async def test_refused_in_the_later_window_it_is_booked_in_neither(store: Turning) -> None:
    for _ in range(2):
        store.quota.clock_ms = TURN_MS
        await store.quota.reserve(a_request(uuid7(), LIMITED, address=ADDRESS))
    account_id, store.turns = uuid7(), True
    store.quota.clock_ms = TURN_MS + 60_000 - 1

    with pytest.raises(QuotaRefused) as refused:
        await store.quota.reserve(a_request(account_id, LIMITED, address=ADDRESS))

    store.turns = False
    assert refused.value.limit.name == "address_accounts_per_hour"
    assert await counted(store, account_id) == (0, 2)
