"""Roll-ups: the ledger's ended rows summed by hour and by day, so that pages need not read rows.

An hour is always summed whole, from its rows, and a day from its hours.  So a run may be repeated,
cut off at any point, or come late: what it leaves depends on the rows alone.  A run finds the hours
to sum by when rows ended, from the mark that the run before it left:

* Every row that ended before the mark is in the sums.  The mark moves with the sums, in one
  transaction.
* It never passes the admission of a request that still runs.  A row ends after it was admitted, so
  however long its ending is owed, it ends after the mark.
* Looking back OVERLAP before the mark covers what that rule does not: transactions that were under
  way while the run looked, and clocks that differ.

One run at a time writes sums (an advisory lock); so does a correction, for the hour that it is in.
"""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from django.db import connection, transaction

from accounts.identifiers import uuid7_floor
from billing.metering.figures import COLUMNS, NAMES, SUMS_OF_ROLLUPS, SUMS_OF_ROWS
from billing.metering.models import RollupMark, UsageDay
from billing.metering.partitions import oldest_month
from billing.metering.rows import NOBODY

OVERLAP: Final = dt.timedelta(minutes=5)
"""Longer than a commit takes, and more than clocks differ."""

HOUR: Final = dt.timedelta(hours=1)
DAY: Final = dt.timedelta(days=1)
REACH: Final = dt.timedelta(hours=1)
"""How far an id's time may be from `admitted_at`: the one is a process's, the other the store's."""

MARK: Final = 1  # the one row's key
_LOCK: Final = 0x5CA12  # these sums', among the database's advisory locks
_BACKLOG: Final = DAY  # of endings, that one transaction rolls up when there is much to catch up on

_KEYS: Final = "account_id, token_id, model, tier"
_CHANGES: Final = ", ".join(f"{name} = excluded.{name}" for name in NAMES)
_EXCLUDED: Final = ", ".join(f"excluded.{name}" for name in NAMES)

# The oldest request that runs is found through the index of open rows.
ROLLUP_TARGET: Final = """
SELECT least(now(), (SELECT min(admitted_at) FROM billing_ledgerentry WHERE status = 'reserved'))
"""
_ENDED: Final = """
SELECT DISTINCT date_trunc('hour', admitted_at, 'UTC') FROM billing_ledgerentry
 WHERE ended_at >= %(since)s AND ended_at < %(until)s ORDER BY 1
"""


def _summed(table: str, window: str, sums: str) -> str:
    """SQL that puts the rows of `sums` in the place of one window's."""
    same = " AND ".join(f"{table}.{key} = summed.{key}" for key in _KEYS.split(", "))
    return f"""
WITH summed AS ({sums} GROUP BY 1, 2, 3, 4),
gone AS (
    DELETE FROM {table}
     WHERE {window} = %(window)s AND NOT EXISTS (SELECT 1 FROM summed WHERE {same})
)
INSERT INTO {table} ({_KEYS}, {window}, {COLUMNS})
SELECT {_KEYS}, %(window)s, {COLUMNS} FROM summed
ON CONFLICT (account_id, {window}, token_id, model, tier) DO UPDATE SET {_CHANGES}
 WHERE ({", ".join(f"{table}.{name}" for name in NAMES)}) IS DISTINCT FROM ({_EXCLUDED})
"""  # noqa: S608  (names of this module only)


ROWS_OF_HOURS: Final = f"""
SELECT account_id, coalesce(token_id, '{NOBODY}') AS token_id, model, tier, {SUMS_OF_ROWS}
  FROM billing_ledgerentry
 WHERE id >= %(first)s AND id < %(last)s
   AND admitted_at >= %(window)s AND admitted_at < %(end)s AND status <> 'reserved'
"""  # noqa: S608  (the same)

_ROLL_HOUR: Final = _summed("billing_usagehour", "hour", ROWS_OF_HOURS)
_ROLL_DAY: Final = _summed(
    "billing_usageday",
    "day",
    f"SELECT {_KEYS}, {SUMS_OF_ROLLUPS} FROM billing_usagehour"  # noqa: S608  (the same)
    " WHERE hour >= %(start)s AND hour < %(end)s",
)


@dataclass(frozen=True, slots=True)
class RolledUp:
    """What a run did: how many hours it summed, and until when every ended row is in the sums."""

    hours: int
    rolled_to: dt.datetime


def roll_up() -> RolledUp | None:
    """Brings the sums up to now; None if another run is at it just now."""
    hours, stride = 0, _BACKLOG
    while True:
        with transaction.atomic():
            if not _locked("pg_try_advisory_xact_lock"):
                return None
            step = _step(stride)
        hours += step.hours
        if step.done:
            return RolledUp(hours, step.rolled_to)
        stride = _BACKLOG if step.hours else 2 * stride  # over a time in which nothing ended


def roll_hours(hours: Iterable[dt.datetime]) -> None:
    """Sums these UTC hours and their days anew, in one transaction; waits for a run under way.

    Hours of which the ledger may have lost rows, because months were dropped, stay as they are.
    """
    with transaction.atomic():
        _locked("pg_advisory_xact_lock")
        _roll(hours)


def roll_days(days: Iterable[dt.date]) -> None:
    """Sums these days anew from their hours, which must still be kept."""
    with transaction.atomic(), connection.cursor() as cursor:
        _locked("pg_advisory_xact_lock")
        for day in days:
            cursor.execute(_ROLL_DAY, {"window": day, **_bounds_of(day)})


def unrolled_since(rolled_to: dt.datetime | None) -> dt.datetime | None:
    """The first hour whose sums may still grow, all hours before it being whole; None: all may.

    Readers take what is before it from the roll-ups, and the rest from rows.
    """
    return None if rolled_to is None else hour_of(rolled_to - OVERLAP)


def hour_of(moment: dt.datetime) -> dt.datetime:
    """The start of its UTC clock hour."""
    return moment.astimezone(dt.UTC).replace(minute=0, second=0, microsecond=0)


def first_whole_hour() -> dt.datetime:
    """The first hour of which no row can be gone with a month that was dropped.

    Its rows' ids, and the next hours', are all in months that are there.  Days are kept for ever:
    one from before the oldest month says that there was an older one.
    """
    with connection.cursor() as cursor:
        month = dt.datetime.combine(oldest_month(cursor), dt.time(), dt.UTC)
    dropped = UsageDay.objects.filter(day__lt=month.date()).exists()
    return month + REACH if dropped else month - REACH


def id_bounds(first: dt.datetime, end: dt.datetime) -> dict[str, Any]:
    """The ids among which all rows are that were admitted from `first` and before `end`."""
    return {"first": uuid7_floor(first - REACH), "last": uuid7_floor(end + REACH)}


@dataclass(frozen=True, slots=True)
class _Step:
    hours: int
    rolled_to: dt.datetime
    done: bool


def _step(stride: dt.timedelta) -> _Step:
    """One transaction's part of a run: what ended in so long a time.  So a backlog is shed."""
    with connection.cursor() as cursor:
        # Before the rows are looked at: what ends after this moment ends after the new mark.
        cursor.execute(ROLLUP_TARGET)
        (target,) = cursor.fetchone()
        since = _mark(cursor, target) - OVERLAP
        done = since + stride >= target
        rolled_to = target if done else since + stride
        until = dt.datetime.max.replace(tzinfo=dt.UTC) if done else rolled_to
        cursor.execute(_ENDED, {"since": since, "until": until})
        hours = [row[0] for row in cursor.fetchall()]
    _roll(hours)
    RollupMark.objects.update_or_create(pk=MARK, defaults={"rolled_to": rolled_to})
    return _Step(len(hours), rolled_to, done)


def _mark(cursor: Any, target: dt.datetime) -> dt.datetime:
    """The mark, or before the first run, when the ledger's first row came."""
    mark = RollupMark.objects.filter(pk=MARK).first()
    if mark is not None:
        return mark.rolled_to
    cursor.execute("SELECT id FROM billing_ledgerentry ORDER BY id LIMIT 1")
    row = cursor.fetchone()
    if row is None:
        return target
    return min(target, dt.datetime.fromtimestamp((row[0].int >> 80) / 1000, dt.UTC) - REACH)


def _roll(hours: Iterable[dt.datetime]) -> None:
    with connection.cursor() as cursor:
        first = first_whole_hour()
        whole = [hour for hour in hours if hour >= first]
        for hour in whole:
            bounds = {"window": hour, "end": hour + HOUR, **id_bounds(hour, hour + HOUR)}
            cursor.execute(_ROLL_HOUR, bounds)
        for day in sorted({hour.astimezone(dt.UTC).date() for hour in whole}):
            cursor.execute(_ROLL_DAY, {"window": day, **_bounds_of(day)})


def _bounds_of(day: dt.date) -> dict[str, dt.datetime]:
    start = dt.datetime.combine(day, dt.time(), dt.UTC)
    return {"start": start, "end": start + DAY}


def _locked(function: str) -> bool:
    """Takes the lock until the transaction ends; whether it was free, for the function that asks.

    The isolation is READ COMMITTED: what is read after the lock was waited for is as it is then.
    """
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {function}(%s)", [_LOCK])
        return cursor.fetchone()[0] is not False
