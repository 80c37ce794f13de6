"""The ledger's monthly partitions: by id, since a UUIDv7 starts with its time."""

import datetime as dt
from typing import Any, Final

from django.db import transaction

from accounts.identifiers import uuid7_floor

MONTHS_AHEAD: Final = 6
_TABLE: Final = "billing_ledgerentry"
_LOCK: Final = 0x5CA11  # this job's, among the database's advisory locks


def create_partitions(
    connection: Any, today: dt.date, months_ahead: int = MONTHS_AHEAD
) -> list[str]:
    """Creates what is missing from last month to `months_ahead`; the names of the new ones.

    `connection` is Django's.  Last month is among them for a process whose clock is behind.
    """
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        # IF NOT EXISTS is no help to two that come at once: neither sees the other's table.
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        missing = _missing(cursor, today, months_ahead)
        for month in missing:
            _create(cursor, month)
    return [_name(month) for month in missing]


def missing_partitions(
    connection: Any, today: dt.date, months_ahead: int = MONTHS_AHEAD
) -> list[dt.date]:
    """The months, by their first day, from last month to `months_ahead` that have none."""
    with connection.cursor() as cursor:
        return _missing(cursor, today, months_ahead)


def _missing(cursor: Any, today: dt.date, months_ahead: int) -> list[dt.date]:
    months = [_first_of(today, months=ahead) for ahead in range(-1, months_ahead + 1)]
    return [month for month in months if not _exists(cursor, month)]


def _create(cursor: Any, month: dt.date) -> None:
    # Attaching lets the ledger be written meanwhile.  PARTITION OF would lock it against
    # everybody, and wait, with everybody behind it, for the longest query that reads it.
    cursor.execute(f"CREATE TABLE {_name(month)} (LIKE {_TABLE} INCLUDING ALL)")
    cursor.execute(
        f"ALTER TABLE {_TABLE} ATTACH PARTITION {_name(month)}"
        f" FOR VALUES FROM ('{_bound(month)}') TO ('{_bound(_first_of(month, months=1))}')"
    )


def _exists(cursor: Any, month: dt.date) -> bool:
    cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [_name(month)])
    return bool(cursor.fetchone()[0])


def _name(month: dt.date) -> str:
    return f"{_TABLE}_{month:%Y_%m}"


def _first_of(day: dt.date, *, months: int) -> dt.date:
    count = day.year * 12 + day.month - 1 + months
    return dt.date(count // 12, count % 12 + 1, 1)


def _bound(day: dt.date) -> str:
    return str(uuid7_floor(dt.datetime.combine(day, dt.time(), dt.UTC)))
