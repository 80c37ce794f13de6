"""The ledger's monthly partitions: by id, since a UUIDv7 starts with its time."""

import datetime as dt
from typing import Any, Final

from accounts.identifiers import uuid7_floor

MONTHS_AHEAD: Final = 6
_TABLE: Final = "billing_ledgerentry"


def create_partitions(
    connection: Any, today: dt.date, months_ahead: int = MONTHS_AHEAD
) -> list[str]:
    """Creates what is missing from last month to `months_ahead`; the names of the new ones."""
    created = []
    missing = missing_partitions(connection, today, months_ahead)
    with connection.cursor() as cursor:
        for month in missing:
            # Two that come at once: the second one's statement finds the first one's table.
            cursor.execute(
                f"CREATE TABLE IF NOT EXISTS {_name(month)} PARTITION OF {_TABLE}"
                f" FOR VALUES FROM ('{_bound(month)}') TO ('{_bound(_first_of(month, months=1))}')"
            )
            created.append(_name(month))
    return created


def missing_partitions(
    connection: Any, today: dt.date, months_ahead: int = MONTHS_AHEAD
) -> list[dt.date]:
    """The months, by their first day, from last month to `months_ahead` that have none.

    `connection` is Django's.  Last month is among them for a process whose clock is behind.
    """
    months = [_first_of(today, months=ahead) for ahead in range(-1, months_ahead + 1)]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT to_regclass(name) FROM unnest(%s::text[]) name", [[*map(_name, months)]]
        )
        found = [row[0] for row in cursor.fetchall()]
    return [month for month, table in zip(months, found, strict=True) if table is None]


def _name(month: dt.date) -> str:
    return f"{_TABLE}_{month:%Y_%m}"


def _first_of(day: dt.date, *, months: int) -> dt.date:
    count = day.year * 12 + day.month - 1 + months
    return dt.date(count // 12, count % 12 + 1, 1)


def _bound(day: dt.date) -> str:
    return str(uuid7_floor(dt.datetime.combine(day, dt.time(), dt.UTC)))
