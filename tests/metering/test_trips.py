"""What waits for the counter store is asked in one round trip, and in the order it was asked."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import redis

from billing.metering.account_counters import AccountCounters, read_account
from billing.metering.redis_store import ACCOUNT, Call, Clock, QuotaUnavailable, RedisStore
from tests.metering.conftest import old_epochs

GENERATION = 1


class CountingStore(RedisStore):
    """Counts its trips, and holds them up while `gate` is closed."""

    def __init__(self, redis_url: str) -> None:
        super().__init__(redis_url)
        self.trips = 0
        self.under_way = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def ask(self, question: Callable[[], Awaitable[Any]]) -> Any:
        self.trips += 1
        self.under_way.set()
        await self.gate.wait()
        return await super().ask(question)


@pytest.fixture
async def store(redis_url: str, flush: "redis.Redis") -> AsyncIterator[CountingStore]:
    flush.mset(old_epochs())
    store = CountingStore(redis_url)
    yield store
    await store.close()


def call(account_id: uuid.UUID, *operation: str | int) -> Call:
    return AccountCounters(None, Clock()).call(GENERATION, account_id, *operation)  # type: ignore[arg-type]


def seed(account_id: uuid.UUID, requests: int) -> Call:
    """Makes an account known that has made so many requests on a day long ago."""
    return call(account_id, "seed", 1, 10, requests, 1, requests, 0, 0)


async def running(store: RedisStore, account_id: uuid.UUID) -> str:
    (answer,) = await store.run(call(account_id, "peek", "-"))
    return read_account(answer).verdict


async def test_what_is_asked_in_a_turn_of_the_loop_shares_a_trip(store: CountingStore) -> None:
    accounts = [uuid.uuid4() for _ in range(60)]
    await asyncio.gather(*(store.run(seed(one, 1)) for one in accounts))
    assert store.trips == 1
    assert {await running(store, one) for one in accounts} == {"peeked"}


async def test_what_is_asked_during_a_trip_goes_with_the_next_and_no_trip_is_too_long(
    store: CountingStore,
) -> None:
    store.gate.clear()
    first = asyncio.create_task(store.run(seed(uuid.uuid4(), 1)))
    await store.under_way.wait()
    later = [asyncio.create_task(store.run(seed(uuid.uuid4(), 1))) for _ in range(150)]
    await asyncio.sleep(0)
    store.gate.set()
    await asyncio.gather(first, *later)
    assert store.trips == 3


async def test_each_hears_its_own_answers_in_their_order(store: CountingStore) -> None:
    ours, theirs = uuid.uuid4(), uuid.uuid4()
    one, other = await asyncio.gather(
        store.run(call(ours, "peek", "-"), seed(ours, 3), call(ours, "peek", "-")),
        store.run(call(theirs, "peek", "-")),
    )
    assert [answer[0] for answer in one] == [b"cold", b"seeded", b"peeked"]
    assert [answer[0] for answer in other] == [b"cold"]


async def test_an_error_is_told_to_who_asked_and_to_nobody_else(store: CountingStore) -> None:
    ours, theirs = uuid.uuid4(), uuid.uuid4()
    wrong = Call(ACCOUNT, call(ours, "peek").keys, ("dance", 0))
    asked = (store.run(wrong), store.run(seed(theirs, 1)), store.run(call(theirs, "peek", "-")))
    refused, seeded, peeked = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(refused, QuotaUnavailable)
    assert "no such operation" in str(refused)
    assert not isinstance(seeded, BaseException)
    assert not isinstance(peeked, BaseException)
    assert store.trips == 1


@pytest.mark.parametrize("unspeakable", ["\ud800", None], ids=["no UTF-8", "no type of Redis'"])
async def test_what_cannot_be_asked_fails_alone(
    store: CountingStore, unspeakable: Any, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = call(uuid.uuid4(), "peek", unspeakable)
    asked = (store.run(wrong), store.run(seed(uuid.uuid4(), 1)))
    refused, seeded = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(refused, QuotaUnavailable)
    assert not isinstance(seeded, BaseException)
    assert "a question to the counter store broke" in caplog.text


async def test_whoever_is_gone_before_the_trip_asks_nothing(store: CountingStore) -> None:
    """So a refund, which is asked later, finds either the booking or that there will be none."""
    gone, here = uuid.uuid4(), uuid.uuid4()
    store.gate.clear()
    first = asyncio.create_task(store.run(seed(here, 1)))
    await store.under_way.wait()
    leaving = asyncio.create_task(store.run(seed(gone, 1)))
    await asyncio.sleep(0)
    leaving.cancel()
    store.gate.set()
    await asyncio.gather(first, leaving, return_exceptions=True)
    assert await running(store, gone) == "cold"
    assert await running(store, here) == "peeked"


async def test_closing_leaves_nobody_waiting(store: CountingStore) -> None:
    store.gate.clear()
    waiting = [asyncio.create_task(store.run(seed(uuid.uuid4(), 1))) for _ in range(150)]
    await store.under_way.wait()
    await store.close()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(one) for one in outcomes} == {asyncio.CancelledError}


async def test_closing_before_the_first_trip_has_begun_leaves_nobody_waiting(
    store: CountingStore,
) -> None:
    waiting = asyncio.create_task(store.run(seed(uuid.uuid4(), 1)))
    await asyncio.sleep(0)  # it has asked
    await store.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert store.trips == 0
