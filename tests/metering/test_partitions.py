"""Ledger and refusals have a table for each month, made before the month comes."""

import datetime as dt
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import IntegrityError, connection, connections

from accounts.identifiers import uuid7, uuid7_floor
from billing.metering.partitions import create_partitions
from billing.metering.tasks import create_partitions as create_partitions_task
from billing.models import LedgerEntry

FAR = dt.date(2041, 1, 15)


def partitions() -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid"
            " WHERE inhparent IN ('billing_ledgerentry'::regclass, 'billing_refusal'::regclass)"
            "   AND relkind = 'r'"
        )
        return {row[0] for row in cursor.fetchall()}


@pytest.fixture(autouse=True)
def only_the_first(transactional_db: None) -> Iterator[None]:
    """The partitions of the far future go away again."""
    before = partitions()
    yield
    with connection.cursor() as cursor:
        for name in partitions() - before:
            cursor.execute(f"DROP TABLE {name}")


def entry_at(moment: dt.datetime) -> LedgerEntry:
    return LedgerEntry(
        id=uuid7(int(moment.timestamp() * 1000)),
        account_id=uuid7(),
        tier="free",
        model="scalix-free",
        status=LedgerEntry.Status.RESERVED,
        charged=True,
        streamed=False,
        reserved_tokens=20,
        admitted_at=moment,
        deadline_at=moment,
        process_id=uuid7(),
    )


def home_of(entry: LedgerEntry) -> str:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tableoid::regclass::text FROM billing_ledgerentry WHERE id = %s", [entry.pk]
        )
        return str(cursor.fetchone()[0])


def test_a_new_database_has_them_from_last_month_to_half_a_year_ahead() -> None:
    assert create_partitions(connection, dt.datetime.now(dt.UTC).date()) == []
    assert len(partitions()) >= 2 * 8


def test_they_span_the_turn_of_a_year() -> None:
    months = ("2040_12", "2041_01", "2041_02", "2041_03")
    assert create_partitions(connection, FAR, months_ahead=2) == [
        f"{table}_{month}"
        for table in ("billing_ledgerentry", "billing_refusal")
        for month in months
    ]


def test_what_is_there_is_left_alone() -> None:
    create_partitions(connection, FAR, months_ahead=1)
    before = partitions()
    assert create_partitions(connection, FAR, months_ahead=1) == []
    assert create_partitions(connection, FAR.replace(month=2), months_ahead=1) == [
        "billing_ledgerentry_2041_03",
        "billing_refusal_2041_03",
    ]
    new = {"billing_ledgerentry_2041_03", "billing_refusal_2041_03"}
    assert partitions() - before == new


def test_several_that_create_them_at_once_create_them_once() -> None:
    at_once = threading.Barrier(4)

    def create(_: int) -> list[str]:
        try:
            at_once.wait()
            return create_partitions(connections["default"], FAR, months_ahead=3)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as threads:
        created = [name for names in threads.map(create, range(4)) for name in names]
    assert len(created) == len(set(created)) == 2 * 5


@pytest.mark.parametrize(
    ("moment", "month"),
    [
        (dt.datetime(2041, 1, 1, tzinfo=dt.UTC), "2041_01"),
        (dt.datetime(2041, 1, 31, 23, 59, 59, 999_000, tzinfo=dt.UTC), "2041_01"),
        (dt.datetime(2041, 2, 1, tzinfo=dt.UTC), "2041_02"),
    ],
)
def test_a_row_lies_in_the_month_of_its_id(moment: dt.datetime, month: str) -> None:
    create_partitions(connection, FAR, months_ahead=2)
    entry = entry_at(moment)
    entry.save(force_insert=True)
    assert home_of(entry) == f"billing_ledgerentry_{month}"


def test_an_id_is_unique_in_a_partition_that_was_attached() -> None:
    create_partitions(connection, FAR)
    entry = entry_at(dt.datetime(2041, 1, 1, tzinfo=dt.UTC))
    entry.save(force_insert=True)
    with pytest.raises(IntegrityError):
        entry.save(force_insert=True)


def test_a_row_of_a_month_that_has_no_partition_is_refused_and_not_misplaced() -> None:
    with pytest.raises(IntegrityError):
        entry_at(dt.datetime(2055, 1, 1, tzinfo=dt.UTC)).save(force_insert=True)


def test_an_attached_partition_has_every_index_of_the_ledger() -> None:
    create_partitions(connection, FAR, months_ahead=0)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tablename, count(*) FROM pg_indexes WHERE tablename = ANY(%s) GROUP BY 1",
            [["billing_ledgerentry", "billing_ledgerentry_2041_01"]],
        )
        counts = dict(cursor.fetchall())
    assert counts["billing_ledgerentry_2041_01"] == counts["billing_ledgerentry"] == 6


def test_a_query_on_ids_of_one_month_looks_into_no_other() -> None:
    create_partitions(connection, FAR)
    first = uuid7_floor(dt.datetime(2041, 1, 1, tzinfo=dt.UTC))
    last = uuid7_floor(dt.datetime(2041, 1, 31, tzinfo=dt.UTC))
    plan = LedgerEntry.objects.filter(id__gte=first, id__lt=last).order_by().explain()
    assert "billing_ledgerentry_2041_01" in plan
    assert "billing_ledgerentry_2041_02" not in plan


def test_beats_task_creates_what_is_missing() -> None:
    latest = max(partitions())
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE {latest}")
    create_partitions_task()
    assert latest in partitions()
