"""Roll-ups equal the rows: run twice, out of order, late, cut off, and after corrections."""

import datetime as dt
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from django.db import connection

from accounts.identifiers import uuid7
from accounts.postgres import conninfo
from billing.metering.figures import NAMES
from billing.metering.rollups import (
    HOUR,
    OVERLAP,
    RolledUp,
    hour_of,
    roll_hours,
    roll_up,
    unrolled_since,
)
from billing.models import LedgerEntry, RollupMark, UsageDay, UsageHour
from tests.metering.rolling import assert_sums_are_those_of_the_rows, by_hours, by_rows, fill
from tests.pages.spending import spend

NOW = dt.datetime.now(dt.UTC)
MINUTE = dt.timedelta(minutes=1)

pytestmark = pytest.mark.usefixtures("now_is_now")


def rolled() -> RolledUp:
    """A run's outcome; there is no other run."""
    outcome = roll_up()
    assert outcome is not None
    return outcome


def open_row(account_id: uuid.UUID, at: dt.datetime) -> LedgerEntry:
    """A request that still runs."""
    [row] = spend(account_id, 1, at=at, status=LedgerEntry.Status.RESERVED, ended_at=None)
    return row


def end(row: LedgerEntry, ended_at: dt.datetime) -> None:
    LedgerEntry.objects.filter(pk=row.pk).update(
        status=LedgerEntry.Status.SETTLED, ended_at=ended_at
    )


def versions() -> list[Any]:
    """Which versions of their rows the roll-ups have: another one is a row that was written."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT xmin::text, ctid::text FROM billing_usagehour"
            " UNION ALL SELECT xmin::text, ctid::text FROM billing_usageday"
        )
        return sorted(cursor.fetchall())


class TestManyRows:
    """A hundred thousand, of three days."""

    @pytest.mark.django_db(transaction=True)
    def test_equal_their_sums_after_one_run_after_a_second_and_out_of_order(self) -> None:
        fill(100_000, span="70 hours")
        first = rolled()
        assert 70 <= first.hours <= 72 + 4  # the hours where two days' worth of endings meet
        assert_sums_are_those_of_the_rows()

        before = versions()
        assert rolled().hours <= 2
        assert versions() == before

        hours = list(UsageHour.objects.values_list("hour", flat=True).distinct())
        random.Random(7).shuffle(hours)
        UsageHour.objects.all().delete()
        UsageDay.objects.all().delete()
        roll_hours(hours[:40])
        roll_hours(hours[30:])
        assert_sums_are_those_of_the_rows()


@pytest.mark.parametrize("seed", range(5))
def test_any_rows_that_come_in_any_order_are_summed(db: None, seed: int) -> None:
    chance = random.Random(seed)
    accounts, tokens = [uuid7() for _ in range(3)], [uuid7(), None]
    running = [
        row
        for _ in range(20)
        for row in spend(
            chance.choice(accounts),
            1,
            at=NOW - chance.random() * 30 * HOUR,
            token_id=chance.choice(tokens),
            status=LedgerEntry.Status.RESERVED,
            ended_at=None,
        )
    ]
    for _ in range(12):
        for _ in range(chance.randrange(6)):
            status = chance.choice(["settled", "failed"])
            spend(
                chance.choice(accounts),
                chance.randrange(1, 3),
                at=NOW - chance.random() * 30 * HOUR,
                tokens=chance.randrange(500),
                token_id=chance.choice(tokens),
                model=chance.choice(["one", "two"]),
                status=status,
                charged=status == "settled",
                cost_micros=chance.randrange(1_000),
                ended_at=NOW,
            )
        chance.shuffle(running)
        while running and chance.random() < 0.5:
            row = running.pop()
            end(row, row.admitted_at + MINUTE)  # owed for hours: it says when it ended
        if chance.random() < 0.6:
            rolled()
    rolled()
    assert_sums_are_those_of_the_rows()


def test_a_request_that_runs_holds_the_mark_until_its_ending_is_there(
    db: None, account_id: uuid.UUID
) -> None:
    row = open_row(account_id, NOW - 3 * HOUR)
    spend(account_id, 2, at=NOW - 2 * HOUR)
    assert rolled().rolled_to == row.admitted_at
    assert UsageHour.objects.get().requests == 2

    end(row, NOW - 3 * HOUR + MINUTE)  # committed now: Postgres was away for that long
    assert rolled().rolled_to > NOW - MINUTE
    assert {hour.hour: hour.requests for hour in UsageHour.objects.all()} == {
        hour_of(NOW - 3 * HOUR): 1,
        hour_of(NOW - 2 * HOUR): 2,
    }
    assert UsageDay.objects.count() == len({(NOW - n * HOUR).date() for n in (2, 3)})


def test_a_commit_that_came_just_too_late_for_a_run_is_in_the_next(
    db: None, account_id: uuid.UUID
) -> None:
    mark = rolled().rolled_to
    spend(account_id, 1, at=mark - 10 * MINUTE, ended_at=mark - OVERLAP + MINUTE)
    rolled()
    assert UsageHour.objects.get().requests == 1


def test_a_running_request_is_in_no_sum(db: None, account_id: uuid.UUID) -> None:
    open_row(account_id, NOW - HOUR)
    rolled()
    assert by_hours() == {}


def test_a_group_whose_rows_are_gone_goes_too(db: None, account_id: uuid.UUID) -> None:
    spend(account_id, 1, at=NOW - HOUR, model="one")
    [lost] = spend(account_id, 1, at=NOW - HOUR, model="two")
    rolled()
    LedgerEntry.objects.filter(pk=lost.pk).delete()
    roll_hours([hour_of(NOW - HOUR)])
    assert list(UsageHour.objects.values_list("model", flat=True)) == ["one"]
    assert list(UsageDay.objects.values_list("model", flat=True)) == ["one"]


def test_a_wrong_sum_is_put_right(db: None, account_id: uuid.UUID) -> None:
    spend(account_id, 3, at=NOW - HOUR)
    rolled()
    UsageHour.objects.update(**dict.fromkeys(NAMES, 77))
    UsageDay.objects.update(**dict.fromkeys(NAMES, 78))
    roll_hours([hour_of(NOW - HOUR)])
    assert_sums_are_those_of_the_rows()


def test_a_process_whose_clock_is_half_an_hour_off_has_its_rows_in_the_right_hour(
    db: None, account_id: uuid.UUID
) -> None:
    for wrong in (-30 * MINUTE, 30 * MINUTE):
        [row] = spend(account_id, 1, at=NOW)
        LedgerEntry.objects.filter(pk=row.pk).update(
            id=uuid7(int((NOW + wrong).timestamp() * 1000))
        )
    rolled()
    assert UsageHour.objects.get().requests == 2


def test_the_first_run_sums_all_there_is_and_a_backlog_is_shed_day_by_day(
    db: None, account_id: uuid.UUID
) -> None:
    for days in range(9):
        spend(account_id, 1, at=NOW - dt.timedelta(days=days))
    rolled()
    assert_sums_are_those_of_the_rows()
    RollupMark.objects.update(rolled_to=NOW - dt.timedelta(days=20))
    UsageHour.objects.all().delete()
    rolled()
    assert by_hours() == by_rows("hour")


def test_an_empty_ledger_has_a_mark(db: None) -> None:
    assert rolled().hours == 0
    assert RollupMark.objects.get().rolled_to <= dt.datetime.now(dt.UTC)


def test_whole_hours_end_where_a_row_could_still_come() -> None:
    at = dt.datetime(2026, 11, 27, 15, 3, tzinfo=dt.UTC)
    assert unrolled_since(at) == dt.datetime(2026, 11, 27, 14, tzinfo=dt.UTC)
    assert unrolled_since(at + 2 * MINUTE) == dt.datetime(2026, 11, 27, 15, tzinfo=dt.UTC)
    assert unrolled_since(None) is None


@pytest.mark.django_db(transaction=True)
class TestSideBySide:
    """Runs that meet, and one that dies."""

    def test_of_two_at_once_one_does_nothing(self, account_id: uuid.UUID) -> None:
        spend(account_id, 1)
        with psycopg.connect(conninfo()) as other:
            other.execute("SELECT pg_advisory_xact_lock(%s)", [0x5CA12])
            assert roll_up() is None
            assert by_hours() == {}
        rolled()
        assert_sums_are_those_of_the_rows()

    def test_a_run_that_is_killed_leaves_nothing_and_the_next_does_it_all(self) -> None:
        fill(2_000, span="3 hours")
        with psycopg.connect(conninfo()) as blocker:
            blocker.execute("LOCK TABLE billing_usageday IN EXCLUSIVE MODE")
            run = roll_up_elsewhere()
            until(lambda: somebody_waits_for("billing_usageday"))  # its hours are written
            run.send_signal(signal.SIGKILL)
            run.wait()
        assert by_hours() == {}
        assert not RollupMark.objects.exists()
        until(roll_up)  # Postgres may take a moment to notice that the other one is gone
        assert_sums_are_those_of_the_rows()


def roll_up_elsewhere() -> "subprocess.Popen[bytes]":
    """A run in a process of its own."""
    script = (
        "import django; django.setup(); from billing.metering.rollups import roll_up; roll_up()"
    )
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "scalix.settings",
        "DATABASE_URL": conninfo(),
    }
    return subprocess.Popen([sys.executable, "-c", script], env=environment)


def somebody_waits_for(table: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = %s::regclass", [table]
        )
        return cursor.fetchone() is not None


def until(condition: Callable[[], object]) -> None:
    """Returns when the condition holds."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
