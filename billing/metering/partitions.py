"""The ledger's monthly partitions: by id, since a UUIDv7 starts with its time."""

import datetime as dt
from typing import Any, Final

from accounts.identifiers import uuid7_floor

MONTHS_AHEAD: Final = 6
_TABLE: Final = "billing_ledgerentry"


def create_partitions(
    connection: Any, today: dt.date, months_ahead: int = MONTHS_AHEAD
) -> list[str]:
    """Creates what is missing from last month to `months_ahead`; the names of the new ones.

    `connection` is Django's.  Last month is among them for a process whose clock is behind.
    """
    created = []
    month = _first_of(today, months=-1)
    last = _first_of(today, months=months_ahead)
    with connection.cursor() as cursor:
        while month <= last:
            following = _first_of(month, months=1)
            name = f"{_TABLE}_{month:%Y_%m}"
            cursor.execute("SELECT to_regclass(%s)", [name])
            if cursor.fetchone()[0] is None:
                # Two that come at once: the second one's statement finds the first one's table.
                cursor.execute(
                    f"CREATE TABLE IF NOT EXISTS {name} PARTITION OF {_TABLE}"
                    f" FOR VALUES FROM ('{_bound(month)}') TO ('{_bound(following)}')"
                )
                created.append(name)
            month = following
    return created


def _first_of(day: dt.date, *, months: int) -> dt.date:
    count = day.year * 12 + day.month - 1 + months
    return dt.date(count // 12, count % 12 + 1, 1)


def _bound(day: dt.date) -> str:
    return str(uuid7_floor(dt.datetime.combine(day, dt.time(), dt.UTC)))
