"""Postgres away: nothing is admitted, nothing that ended is lost, and no row is left open."""

import asyncio
import os
import signal
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import connections

from accounts.postgres import PostgresUnavailable, ReadPool
from billing.metering.ledger import Ended, LedgerUnavailable, LedgerWriter
from billing.metering.sums import LedgerSums
from tests.metering.conftest import (
    LedgerView,
    an_intent,
    failed,
    settled,
    writes_held_up,
)
from tests.servers import PrivateServers, family_of, kill_at_once
from tests.waiting import until

PATIENCE = 20.0
ACCOUNT = uuid.uuid4()


@pytest.fixture(autouse=True)
def django_connects_anew(transactional_db: None) -> Iterator[None]:
    """Django's own connection does not survive these tests."""
    connections.close_all()
    yield
    connections.close_all()


@contextmanager
def killed(servers: PrivateServers) -> Iterator[None]:
    """Postgres dies as in a power failure; afterwards it is there again."""
    kill_at_once(servers.postgres)
    try:
        yield
    finally:
        servers.postgres.start()


@contextmanager
def frozen(servers: PrivateServers) -> Iterator[None]:
    """Postgres takes connections and answers nobody."""
    family = family_of(servers.postgres.pid)
    for pid in family:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in family:
            os.kill(pid, signal.SIGCONT)


async def connected(ledger: LedgerWriter) -> bool:
    return ledger.connected


async def test_a_dead_connection_is_replaced_unseen(
    ledger: LedgerWriter, reads: ReadPool, committed: LedgerView
) -> None:
    await reads.fetch(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE pid <> pg_backend_pid() AND datname = current_database()"
    )
    intents = [an_intent() for _ in range(5)]
    await asyncio.gather(*map(ledger.open, intents))
    assert await committed.statuses() == {one.id: "reserved" for one in intents}


async def test_while_postgres_is_away_intents_fail_at_once(
    ledger: LedgerWriter, servers: PrivateServers, committed: LedgerView
) -> None:
    intents = [an_intent() for _ in range(5)]
    with killed(servers):
        for intent in intents:
            with pytest.raises(LedgerUnavailable):
                await ledger.open(intent)
        assert not ledger.connected
    await until(lambda: connected(ledger))
    await ledger.stop()
    assert "reserved" not in (await committed.statuses()).values()


async def test_it_comes_back_by_itself(ledger: LedgerWriter, servers: PrivateServers) -> None:
    with killed(servers), pytest.raises(LedgerUnavailable):
        await ledger.open(an_intent())
    await until(lambda: connected(ledger))
    await ledger.open(an_intent())


async def test_endings_are_owed_and_committed_when_it_is_back(
    ledger: LedgerWriter, servers: PrivateServers, committed: LedgerView
) -> None:
    intents = [an_intent() for _ in range(20)]
    await asyncio.gather(*map(ledger.open, intents))
    heard: list[Ended] = []
    with killed(servers):
        for intent in intents[:10]:
            with pytest.raises(LedgerUnavailable):
                await ledger.end(settled(intent.id), patience=0)
        for intent in intents[10:]:
            ledger.owe(failed(intent.id), heard.append)
        await until(lambda: disconnected(ledger))
    await ledger.stop(PATIENCE)
    assert await committed.statuses() == {one.id: "settled" for one in intents[:10]} | {
        one.id: "failed" for one in intents[10:]
    }
    assert heard == [Ended("failed", charged=False, tokens=0)] * 10


async def disconnected(ledger: LedgerWriter) -> bool:
    return not ledger.connected


async def test_an_end_that_waits_goes_through_when_it_is_back_in_time(
    ledger: LedgerWriter, servers: PrivateServers
) -> None:
    intent = an_intent()
    await ledger.open(intent)
    with killed(servers):
        ending = asyncio.create_task(ledger.end(settled(intent.id), patience=PATIENCE))
        await until(lambda: disconnected(ledger))
    assert await ending == Ended("settled", charged=True, tokens=12)


async def test_killed_in_the_middle_of_a_commit_it_leaves_no_row_open(
    ledger: LedgerWriter, servers: PrivateServers, committed: LedgerView, reads: ReadPool
) -> None:
    old = [an_intent() for _ in range(3)]
    new = [an_intent() for _ in range(3)]
    await asyncio.gather(*map(ledger.open, old))
    async with writes_held_up(reads) as somebody_waits:
        opening = [asyncio.create_task(ledger.open(one)) for one in new]
        for one in old:
            ledger.owe(settled(one.id))
        await somebody_waits()
        with killed(servers):
            outcomes = await asyncio.gather(*opening, return_exceptions=True)
    assert {type(one) for one in outcomes} == {LedgerUnavailable}
    await ledger.stop(PATIENCE)
    assert await committed.statuses() == {one.id: "settled" for one in old} | {
        one.id: "failed" for one in new
    }


async def test_a_commit_that_happens_after_it_was_given_up_ends_failed(
    ledger: LedgerWriter, servers: PrivateServers, committed: LedgerView, reads: ReadPool
) -> None:
    """Postgres froze with the commit in its hands, and goes on with it when it wakes."""
    intent = an_intent()
    with frozen(servers), pytest.raises(LedgerUnavailable):
        await ledger.open(intent)
    await until(lambda: connected(ledger))
    await ledger.stop(PATIENCE)
    assert await committed.status(intent.id) == "failed"
    await nobody_writes(reads)
    assert await committed.status(intent.id) == "failed"


async def test_a_charge_that_happens_after_its_answer_was_withheld_counts_as_none(
    ledger: LedgerWriter, servers: PrivateServers, committed: LedgerView, reads: ReadPool
) -> None:
    """Whichever of the two endings Postgres takes first when it wakes."""
    intents = [an_intent(account_id=ACCOUNT) for _ in range(20)]
    await asyncio.gather(*map(ledger.open, intents))
    heard: list[Ended] = []
    with frozen(servers):
        waiting = [asyncio.create_task(ledger.end(settled(one.id), patience=0)) for one in intents]
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        for one in intents:
            ledger.owe(failed(one.id), heard.append)
    assert {type(one) for one in outcomes} == {LedgerUnavailable}
    await until(lambda: connected(ledger))
    await ledger.stop(PATIENCE)
    await nobody_writes(reads)
    assert [(one.charged, one.tokens) for one in heard] == [(False, 0)] * 20
    at_ms = int(intents[0].admitted_at.timestamp() * 1000)
    account = await LedgerSums(reads).sum_account(ACCOUNT, at_ms)
    assert (account.day_requests, account.day_tokens, account.running) == (0, 0, ())


async def nobody_writes(reads: ReadPool) -> None:
    """Returns once no other connection is at a statement."""

    async def idle() -> bool:
        return not await reads.fetch(
            "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid()"
            " AND backend_type = 'client backend'"
        )

    await until(idle)


async def test_a_frozen_postgres_holds_up_look_ups_for_a_moment_and_then_none(
    servers: PrivateServers, reads: ReadPool
) -> None:
    await reads.fetch("SELECT 1")
    with frozen(servers):
        outcomes = await asyncio.gather(
            *(reads.fetch("SELECT 1") for _ in range(20)), return_exceptions=True
        )
        assert {type(one) for one in outcomes} == {PostgresUnavailable}
        async with asyncio.timeout(0):
            with pytest.raises(PostgresUnavailable):
                await reads.fetch("SELECT 1")

    async def answered() -> bool:
        try:
            return await reads.fetch("SELECT 1") == [(1,)]
        except PostgresUnavailable:
            return False

    await until(answered)
