"""Monthly partitions of ledger and refusals: by id, since a UUIDv7 starts with its time."""

import datetime as dt
from dataclasses import dataclass
from typing import Any, Final

from django.db import transaction

from accounts.identifiers import uuid7_floor

MONTHS_AHEAD: Final = 6
LEDGER: Final = "billing_ledgerentry"
REFUSALS: Final = "billing_refusal"
TABLES: Final = (LEDGER, REFUSALS)
_LOCK: Final = 0x5CA11  # this job's, among the database's advisory locks


@dataclass(frozen=True, slots=True)
class Partition:
    """One table's rows of one month, by its first day."""

    table: str
    month: dt.date

    @property
    def name(self) -> str:
        """Its own table's."""
        return f"{self.table}_{self.month:%Y_%m}"


def create_partitions(
    connection: Any,
    today: dt.date,
    months_ahead: int = MONTHS_AHEAD,
    tables: tuple[str, ...] = TABLES,
) -> list[str]:
    """Creates what is missing from last month to `months_ahead`; the names of the new ones.

    `connection` is Django's.  Last month is among them for a process whose clock is behind.
    """
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        # IF NOT EXISTS is no help to two that come at once: neither sees the other's table.
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        missing = _missing(cursor, today, months_ahead, tables)
        for partition in missing:
            _create(cursor, partition)
    return [partition.name for partition in missing]


def missing_partitions(
    connection: Any, today: dt.date, months_ahead: int = MONTHS_AHEAD
) -> list[Partition]:
    """What there is none of, from last month to `months_ahead`."""
    with connection.cursor() as cursor:
        return _missing(cursor, today, months_ahead, TABLES)


def months_of(cursor: Any, table: str) -> list[Partition]:
    """The partitions that a table has, oldest first; none that is being detached."""
    cursor.execute(
        "SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid"
        " WHERE inhparent = to_regclass(%s) AND NOT inhdetachpending",
        [table],
    )
    names = sorted(row[0] for row in cursor.fetchall())
    return [Partition(table, _month_in(name)) for name in names]


def detached_months(cursor: Any, table: str) -> list[Partition]:
    """Months that were detached and not dropped, or whose detaching was cut off."""
    cursor.execute(
        "SELECT relname FROM pg_class LEFT JOIN pg_inherits ON inhrelid = pg_class.oid"
        " WHERE relkind = 'r' AND relname ~ %s AND (NOT relispartition OR inhdetachpending)"
        "   AND relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = to_regclass(%s))",
        [f"^{table}_[0-9]{{4}}_[0-9]{{2}}$", table],
    )
    return [Partition(table, _month_in(row[0])) for row in cursor.fetchall()]


def oldest_month(cursor: Any) -> dt.date:
    """The first month that the ledger has rows of, or may have."""
    return months_of(cursor, LEDGER)[0].month


def _month_in(name: str) -> dt.date:
    year, month = name.rsplit("_", 2)[1:]
    return dt.date(int(year), int(month), 1)


def _missing(
    cursor: Any, today: dt.date, months_ahead: int, tables: tuple[str, ...]
) -> list[Partition]:
    months = [first_of(today, months=ahead) for ahead in range(-1, months_ahead + 1)]
    wanted = [Partition(table, month) for table in tables for month in months]
    return [partition for partition in wanted if not _exists(cursor, partition)]


def _create(cursor: Any, partition: Partition) -> None:
    table, name, month = partition.table, partition.name, partition.month
    # Attaching lets the table be written meanwhile.  PARTITION OF would lock it against
    # everybody, and wait, with everybody behind it, for the longest query that reads it.
    cursor.execute(f"CREATE TABLE {name} (LIKE {table} INCLUDING ALL)")
    cursor.execute(
        f"ALTER TABLE {table} ATTACH PARTITION {name}"
        f" FOR VALUES FROM ('{_bound(month)}') TO ('{_bound(first_of(month, months=1))}')"
    )


def _exists(cursor: Any, partition: Partition) -> bool:
    cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [partition.name])
    return bool(cursor.fetchone()[0])


def first_of(day: dt.date, *, months: int) -> dt.date:
    """The first day of the month that is so many after that of `day`, or before."""
    count = day.year * 12 + day.month - 1 + months
    return dt.date(count // 12, count % 12 + 1, 1)


def _bound(day: dt.date) -> str:
    return str(uuid7_floor(dt.datetime.combine(day, dt.time(), dt.UTC)))
