"""Old months are dropped, whole, and never before their rows are in the sums."""

import datetime as dt
import json
import uuid
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from pytest_django import Settings

from accounts.identifiers import uuid7
from accounts.postgres import conninfo
from billing.metering.corrections import NotCorrected, take_back
from billing.metering.partitions import create_partitions, first_of
from billing.metering.retention import Pruned, prune
from billing.metering.rollups import HOUR, hour_of, roll_hours, roll_up
from billing.metering.tasks import prune as prune_task
from billing.models import LedgerEntry, RollupMark, UsageDay, UsageHour
from tests.commands.shell import manage
from tests.metering.rolling import by_days, by_hours
from tests.metering.test_partitions import partitions
from tests.pages.spending import spend

TODAY = dt.datetime.now(dt.UTC).date()
OLD = first_of(TODAY, months=-14)
NAME = f"billing_ledgerentry_{OLD:%Y_%m}"


def noon(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(12), dt.UTC)


@pytest.fixture(autouse=True)
def old_months(transactional_db: None) -> Iterator[None]:
    """Of the ledger's past, the months around the end; afterwards it has its usual ones."""
    create_partitions(connection, first_of(TODAY, months=-13), months_ahead=0)
    yield
    create_partitions(connection, TODAY)
    usual = {
        f"{table}_{first_of(TODAY, months=ahead):%Y_%m}"
        for table in ("billing_ledgerentry", "billing_refusal")
        for ahead in range(-1, 7)
    }
    with connection.cursor() as cursor:
        for name in partitions() - usual:
            cursor.execute(f"DROP TABLE {name}")


def pruned(**options: Any) -> Pruned:
    outcome = prune(TODAY, **options)
    assert outcome is not None
    return outcome


def test_a_month_that_is_older_than_what_is_kept_goes_and_its_days_stay(
    account_id: uuid.UUID,
) -> None:
    spend(account_id, 2, at=noon(OLD), tokens=10)
    [kept] = spend(account_id, 1, at=noon(first_of(TODAY, months=-13)))
    roll_up()
    days = by_days()
    assert NAME in pruned().dropped
    assert NAME not in partitions()
    assert list(LedgerEntry.objects.all()) == [kept]
    assert by_days() == days
    assert UsageDay.objects.filter(day=OLD).get().requests == 2
    assert [row.hour for row in UsageHour.objects.all()] == [hour_of(kept.admitted_at)]


def test_refusals_have_a_time_of_their_own(settings: Settings) -> None:
    settings.REFUSAL_MONTHS, settings.LEDGER_MONTHS = 2, 24
    assert pruned().dropped == [
        f"billing_refusal_{first_of(TODAY, months=-ago):%Y_%m}" for ago in (14, 13)
    ]
    assert NAME in partitions()


def test_a_dry_run_says_it_and_drops_nothing(account_id: uuid.UUID) -> None:
    spend(account_id, 2, at=noon(OLD))
    roll_up()
    before = partitions()
    outcome = pruned(dry_run=True)
    assert NAME in outcome.dropped
    assert partitions() == before
    assert pruned().dropped == outcome.dropped


@pytest.mark.parametrize("rolled", [False, True])
def test_a_month_whose_rows_are_not_all_in_the_sums_stays(
    account_id: uuid.UUID, rolled: bool
) -> None:
    [row] = spend(account_id, 1, at=noon(OLD), status="reserved", ended_at=None)
    if rolled:
        roll_up()
    outcome = pruned()
    assert outcome.kept_unrolled == [NAME]
    assert not [name for name in outcome.dropped if "ledgerentry" in name]
    assert LedgerEntry.objects.get() == row


def test_it_brings_the_sums_up_to_now_itself(account_id: uuid.UUID) -> None:
    spend(account_id, 3, at=noon(OLD))
    assert NAME in pruned().dropped
    assert UsageDay.objects.get().requests == 3


def test_a_run_that_was_cut_off_after_it_detached_a_month_is_finished(
    account_id: uuid.UUID,
) -> None:
    spend(account_id, 1, at=noon(OLD))
    roll_up()
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE billing_ledgerentry DETACH PARTITION {NAME}")
    assert NAME in pruned().dropped
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s)", [NAME])
        assert cursor.fetchone() == (None,)


def test_a_run_that_was_cut_off_while_it_detached_a_month_is_finished(
    account_id: uuid.UUID,
) -> None:
    spend(account_id, 1, at=noon(OLD))
    roll_up()
    with psycopg.connect(conninfo()) as reader:
        reader.execute("SELECT count(*) FROM billing_ledgerentry")
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = '200ms'")
            with pytest.raises(Exception, match="statement timeout"):
                cursor.execute(
                    f"ALTER TABLE billing_ledgerentry DETACH PARTITION {NAME} CONCURRENTLY"
                )
            cursor.execute("SET statement_timeout = 0")
    assert NAME in pruned().dropped
    assert NAME not in partitions()


def test_an_hour_beside_a_month_that_is_gone_stays_as_it_was(account_id: uuid.UUID) -> None:
    """A row of it may have had its id in that month."""
    first = dt.datetime.combine(first_of(TODAY, months=-13), dt.time(), dt.UTC)
    spend(account_id, 1, at=noon(OLD))
    [beside] = spend(account_id, 1, at=first)
    LedgerEntry.objects.filter(pk=beside.pk).update(
        id=uuid7(int((first - dt.timedelta(seconds=1)).timestamp() * 1000))
    )
    [row] = spend(account_id, 1, at=first)
    [later] = spend(account_id, 1, at=first + HOUR)
    roll_up()
    pruned()
    roll_hours([first])
    assert UsageHour.objects.get(hour=first).requests == 2
    with pytest.raises(NotCorrected, match="gone with the month before"):
        take_back(row, reason="Too late.")
    take_back(later, reason="In time.")
    assert by_hours()[account_id, uuid.UUID(int=0), "scalix-free", "free", first + HOUR][0] == 0


def test_only_one_prunes_at_a_time() -> None:
    with psycopg.connect(conninfo()) as other:
        other.execute("SELECT pg_advisory_lock(%s)", [0x5CA13])
        assert prune(TODAY) is None
        with pytest.raises(CommandError, match="Another process"):
            call_command("prune")


def test_the_command_and_the_task_do_it(account_id: uuid.UUID) -> None:
    spend(account_id, 1, at=noon(OLD))
    roll_up()
    out = StringIO()
    call_command("prune", "--dry-run", "--json", stdout=out)
    said = json.loads(out.getvalue())
    assert NAME in said["dropped"]
    prune_task()
    assert NAME not in partitions()
    out = StringIO()
    call_command("prune", stdout=out)
    assert out.getvalue().strip() == "Nothing is older than what is kept."
    assert RollupMark.objects.exists()


@pytest.mark.parametrize("name", ["LEDGER_MONTHS", "REFUSAL_MONTHS"])
def test_a_setting_that_keeps_nothing_stops_the_boot(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "0")
    outcome = manage(tmp_path, "prune")
    assert outcome.returncode == 1
    assert f"{name} is 0" in outcome.stderr
