"""Redis away: nothing is admitted unmetered, everybody hears at once, and service resumes."""

import asyncio
import os
import signal
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import redis

from billing.metering.debts import QuotaDebts
from billing.metering.quota import Quota, QuotaUnavailable
from billing.metering.redis_store import NotAsked
from tests.metering.conftest import FREE, UNLIMITED, NewQuota, a_request
from tests.servers import PrivateServers
from tests.waiting import until


@contextmanager
def stopped(servers: PrivateServers) -> Iterator[None]:
    """The store is killed; it is there again, and empty, afterwards."""
    servers.valkey.kill()
    try:
        yield
    finally:
        servers.valkey.start()


@contextmanager
def frozen(servers: PrivateServers) -> Iterator[None]:
    """The store takes connections and answers nobody."""
    os.kill(servers.valkey.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(servers.valkey.pid, signal.SIGCONT)


async def in_flight(quota: Quota, account_id: uuid.UUID) -> int:
    return (await quota.peek(account_id, FREE)).counters.in_flight


async def answers(quota: Quota) -> bool:
    try:
        await quota.ping()
    except QuotaUnavailable:
        return False
    return True


async def test_every_operation_says_that_the_store_is_away(
    new_quota: NewQuota, servers: PrivateServers, account_id: uuid.UUID
) -> None:
    quota = new_quota()
    await quota.reserve(a_request(account_id))
    with stopped(servers):
        for operation in (
            quota.reserve(a_request(account_id)),
            quota.settle(account_id, uuid.uuid4(), charged=True, tokens=1),
            quota.peek(account_id, FREE),
            quota.held(),
            quota.ping(),
        ):
            with pytest.raises(QuotaUnavailable):
                await operation


async def test_the_first_request_after_its_return_is_served(
    new_quota: NewQuota, servers: PrivateServers, account_id: uuid.UUID
) -> None:
    quota = new_quota()
    await quota.reserve(a_request(account_id))
    with stopped(servers), pytest.raises(QuotaUnavailable):
        await quota.reserve(a_request(account_id))
    await quota.reserve(a_request(account_id))


async def test_a_store_that_was_restarted_is_given_the_script_anew(
    new_quota: NewQuota, flush: "redis.Redis", account_id: uuid.UUID
) -> None:
    quota = new_quota()
    await quota.reserve(a_request(account_id))
    flush.script_flush()
    assert await in_flight(quota, account_id) == 1
    await quota.reserve(a_request(account_id))
    assert await in_flight(quota, account_id) == 2


async def test_connections_that_died_idle_are_replaced_unseen(
    new_quota: NewQuota, flush: "redis.Redis", account_id: uuid.UUID
) -> None:
    quota = new_quota()
    await asyncio.gather(*(quota.reserve(a_request(account_id, UNLIMITED)) for _ in range(20)))
    flush.client_kill_filter(_type="normal", skipme=True)
    await asyncio.gather(*(quota.reserve(a_request(account_id, UNLIMITED)) for _ in range(20)))
    assert await in_flight(quota, account_id) == 40


async def test_once_one_has_waited_in_vain_for_a_frozen_store_nobody_else_does(
    new_quota: NewQuota, servers: PrivateServers, account_id: uuid.UUID
) -> None:
    quota = new_quota()
    await quota.ping()
    with frozen(servers):
        # More than there are connections: all fail when the first have.
        outcomes = await asyncio.gather(
            *(quota.reserve(a_request(account_id)) for _ in range(100)), return_exceptions=True
        )
        assert {type(one) for one in outcomes} == {QuotaUnavailable}
        # A timeout that has expired lets nothing happen but what needs no wait at all.
        async with asyncio.timeout(0):
            with pytest.raises(NotAsked):  # so there is nothing to take back
                await quota.reserve(a_request(account_id))
    await until(lambda: answers(quota))
    await quota.reserve(a_request(account_id))


async def test_what_a_frozen_store_booked_in_the_end_is_taken_back(
    new_quota: NewQuota, servers: PrivateServers, account_id: uuid.UUID
) -> None:
    """Its caller was told that nothing was booked, and has owed a refund since."""
    quota = new_quota()
    assert await in_flight(quota, account_id) == 0
    debts = QuotaDebts(quota)
    debts.start()
    request = a_request(account_id)
    with frozen(servers):
        with pytest.raises(QuotaUnavailable):
            await quota.reserve(request)
        debts.owe(account_id, request.request_id, charged=False, tokens=0)
    await debts.stop()
    assert (await quota.peek(account_id, FREE)).requests_per_day.used == 0
    assert await in_flight(quota, account_id) == 0


async def test_debts_are_paid_when_the_store_is_back(
    new_quota: NewQuota, servers: PrivateServers, account_id: uuid.UUID
) -> None:
    quota = new_quota()
    one, other = a_request(account_id), a_request(account_id)
    await quota.reserve(one)
    await quota.reserve(other)
    debts = QuotaDebts(quota)
    debts.start()
    with frozen(servers):
        debts.owe(account_id, one.request_id, charged=True, tokens=15)
        debts.owe(account_id, other.request_id, charged=False, tokens=0)
        await asyncio.sleep(0)
    await debts.stop()
    counters = (await quota.peek(account_id, FREE)).counters
    assert (counters.hour_requests, counters.day_tokens, counters.in_flight) == (1, 15, 0)
