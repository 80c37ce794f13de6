"""Booking, row and heartbeat together: what is admitted is in both stores, by a living process."""

import asyncio

import pytest
import redis

from accounts.postgres import ReadPool
from gateway import pipeline
from gateway.errors import StoreUnavailable
from gateway.runtime import Gateway
from gateway.types import ChatRequest, Presented, Reply
from tests.conftest import Person
from tests.metering.conftest import LedgerView, writes_held_up
from tests.upstream.double import UpstreamDouble

QUESTION = ChatRequest("scalix-free", ({"role": "user", "content": "Where does the river go?"},))


async def ask(gateway: Gateway, person: Person) -> Reply:
    answer = await pipeline.run(gateway, Presented(bearer=person.secret), QUESTION)
    assert isinstance(answer, Reply)
    return answer


async def used(gateway: Gateway, person: Person) -> tuple[int, int, int]:
    """Requests this hour, tokens today, requests running."""
    _, usage = await pipeline.usage_of(gateway, Presented(bearer=person.secret))
    counters = usage.counters
    return counters.hour_requests, counters.day_tokens, counters.in_flight


async def test_an_answered_request_is_one_settled_row_and_counts_what_it_took(
    gateway: Gateway, bob: Person, committed: LedgerView
) -> None:
    answer = await ask(gateway, bob)
    assert await committed.statuses() == {answer.reservation.request_id: "settled"}
    assert await used(gateway, bob) == (1, answer.tokens.total, 0)


async def test_a_process_that_may_be_taken_for_dead_admits_nothing(
    gateway: Gateway, bob: Person, committed: LedgerView, upstream: UpstreamDouble
) -> None:
    gateway.heartbeat._beat_at -= 60
    with pytest.raises(StoreUnavailable):
        await ask(gateway, bob)
    await gateway.ledger.stop()
    await gateway.debts.stop()
    assert list((await committed.statuses()).values()) == ["failed"]
    assert await used(gateway, bob) == (0, 0, 0)
    assert upstream.received() == 0


async def test_a_booking_that_was_forgotten_during_its_slow_commit_is_made_again(
    gateway: Gateway, bob: Person, flush: "redis.Redis", reads: ReadPool
) -> None:
    gateway.quota.commit_bound = 0
    async with writes_held_up(reads) as somebody_waits:
        asking = asyncio.create_task(ask(gateway, bob))
        await somebody_waits()
        flush.flushall()
        assert await used(gateway, bob) == (0, 0, 0)  # and so it is known again, without it
    answer = await asking
    assert await used(gateway, bob) == (1, answer.tokens.total, 0)


async def test_hanging_up_while_the_row_is_written_leaves_nothing_booked(
    gateway: Gateway, bob: Person, committed: LedgerView, reads: ReadPool, upstream: UpstreamDouble
) -> None:
    async with writes_held_up(reads) as somebody_waits:
        asking = asyncio.create_task(ask(gateway, bob))
        await somebody_waits()
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    await gateway.ledger.stop()
    await gateway.debts.stop()
    assert list((await committed.statuses()).values()) == ["failed"]
    assert await used(gateway, bob) == (0, 0, 0)
    assert upstream.received() == 0
