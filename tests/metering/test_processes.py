"""A gateway process says that it lives, and knows when it may have been taken for dead."""

import os
import uuid

import psycopg
import pytest

from accounts.postgres import PostgresUnavailable, ReadPool
from billing.metering.processes import Heartbeat
from tests.clock import Clock
from tests.waiting import until


async def nothing_else() -> None:
    return None


@pytest.fixture
async def heartbeat(reads: ReadPool) -> Heartbeat:
    return Heartbeat(reads, uuid.uuid4(), nothing_else)


@pytest.fixture
def clock() -> Clock:
    return Clock()


class Database:
    """Has a ReadPool's shape, and can be away."""

    def __init__(self) -> None:
        self.away = False
        self.refuses: Exception | None = None
        self._asked = 0

    async def beaten_more_often(self, by: int) -> None:
        """Returns once it was asked so many times more."""
        wanted = self._asked + by

        async def reached() -> bool:
            return self._asked >= wanted

        await until(reached)

    async def fetch(self, query: str, parameters: object = ()) -> list[tuple[object, ...]]:
        self._asked += 1
        if self.away:
            raise PostgresUnavailable
        if self.refuses is not None:
            raise self.refuses
        return []


async def test_a_process_is_registered_before_start_returns(
    heartbeat: Heartbeat, reads: ReadPool
) -> None:
    await heartbeat.start()
    assert await reads.fetch(
        "SELECT pid, heartbeat_at = started_at, ended_at FROM billing_gatewayprocess"
    ) == [(os.getpid(), True, None)]
    await heartbeat.stop()


async def test_each_beat_renews_the_row(heartbeat: Heartbeat, reads: ReadPool) -> None:
    await heartbeat.beat()
    await reads.fetch("UPDATE billing_gatewayprocess SET heartbeat_at = now() - interval '1 hour'")
    await heartbeat.beat()
    ((age,),) = await reads.fetch("SELECT now() - heartbeat_at FROM billing_gatewayprocess")
    assert age.total_seconds() < 60


async def test_a_clean_stop_is_written_down(heartbeat: Heartbeat, reads: ReadPool) -> None:
    await heartbeat.start()
    await heartbeat.stop()
    assert await reads.fetch(
        "SELECT 1 FROM billing_gatewayprocess WHERE ended_at >= heartbeat_at"
    ) == [(1,)]


async def test_what_else_is_due_is_written_at_the_stop(reads: ReadPool) -> None:
    written: list[str] = []

    async def write() -> None:
        written.append("token uses")

    heartbeat = Heartbeat(reads, uuid.uuid4(), write)
    await heartbeat.start()
    await heartbeat.stop()
    assert written == ["token uses"]


async def test_a_process_that_comes_back_takes_back_its_end(
    heartbeat: Heartbeat, reads: ReadPool
) -> None:
    await heartbeat.beat()
    await reads.fetch("UPDATE billing_gatewayprocess SET ended_at = now()")
    await heartbeat.beat()
    assert await reads.fetch("SELECT ended_at FROM billing_gatewayprocess") == [(None,)]


async def test_a_process_whose_row_was_pruned_gets_a_new_one(
    heartbeat: Heartbeat, reads: ReadPool
) -> None:
    await heartbeat.beat()
    await reads.fetch("DELETE FROM billing_gatewayprocess")
    await heartbeat.beat()
    assert await reads.fetch("SELECT count(*) FROM billing_gatewayprocess") == [(1,)]


async def test_a_process_has_lived_since_its_first_beat_and_not_before(clock: Clock) -> None:
    heartbeat = Heartbeat(Database(), uuid.uuid4(), nothing_else, clock=clock)
    assert not heartbeat.lived_since(clock.now)
    clock.now += 1
    await heartbeat.beat()
    assert not heartbeat.lived_since(clock.now - 1)
    assert heartbeat.lived_since(clock.now)


async def test_beats_in_time_keep_up_the_line(clock: Clock) -> None:
    heartbeat = Heartbeat(Database(), uuid.uuid4(), nothing_else, clock=clock)
    await heartbeat.beat()
    begun = clock.now
    for _ in range(10):
        clock.now += 9
        await heartbeat.beat()
    assert heartbeat.lived_since(begun)


async def test_without_a_beat_for_too_long_nothing_may_be_admitted(clock: Clock) -> None:
    heartbeat = Heartbeat(Database(), uuid.uuid4(), nothing_else, clock=clock)
    await heartbeat.beat()
    clock.now += 11
    assert not heartbeat.lived_since(clock.now)


async def test_what_was_admitted_before_a_gap_stays_refused_after_it(clock: Clock) -> None:
    heartbeat = Heartbeat(Database(), uuid.uuid4(), nothing_else, clock=clock)
    await heartbeat.beat()
    booked_at = clock.now
    clock.now += 13
    await heartbeat.beat()
    assert not heartbeat.lived_since(booked_at)
    assert heartbeat.lived_since(clock.now)


async def test_while_postgres_is_away_it_tries_again_and_again() -> None:
    database = Database()
    heartbeat = Heartbeat(database, uuid.uuid4(), nothing_else, pause=0.001, retry_pause=0.001)
    await heartbeat.start()
    database.away = True
    await database.beaten_more_often(by=3)
    database.away = False
    await database.beaten_more_often(by=3)
    database.away = True
    await heartbeat.stop()


async def test_an_error_that_nobody_expects_does_not_end_the_beating(
    caplog: pytest.LogCaptureFixture,
) -> None:
    database = Database()
    heartbeat = Heartbeat(database, uuid.uuid4(), nothing_else, pause=0.001, retry_pause=0.001)
    await heartbeat.start()
    database.refuses = psycopg.errors.ReadOnlySqlTransaction("no writing just now")
    await database.beaten_more_often(by=3)
    assert "a heartbeat failed" in caplog.text
    database.refuses = None
    await database.beaten_more_often(by=3)
    await heartbeat.stop()
