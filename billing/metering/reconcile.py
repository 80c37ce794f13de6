"""Whether counters, rows and roll-ups agree, and where they do not.  The rows are the truth.

Counters against rows: for each account that was active today.  The two can't be read at the same
moment, and requests come and go between; so an account is looked at again until the two agree, and
what never does differs.  A running request counts as what it reserved in both.

Rows against hours, and hours against days: in one statement each, so of one moment; of hours that
are rolled up whole.  What ended since the mark is the next run's to sum and no disagreement.
"""

import asyncio
import datetime as dt
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from asgiref.sync import async_to_sync
from django.db import connection

from accounts.identifiers import uuid7_floor
from accounts.postgres import ReadPool
from billing.metering.figures import COLUMNS, NAMES, SUMS_OF_ROLLUPS
from billing.metering.quota import Quota
from billing.metering.rollups import (
    DAY,
    REACH,
    ROWS_OF_HOURS,
    first_whole_hour,
    hour_of,
    id_bounds,
    roll_days,
    roll_hours,
    unrolled_since,
)
from billing.metering.spent import rolled_to
from billing.metering.standing import forget, opened
from billing.metering.sums import LedgerSums
from billing.plans import Limits, PlanBook
from billing.tiers import Tier

ROWS_AND_HOURS: Final = "rows and hours"
HOURS_AND_DAYS: Final = "hours and days"
ROWS_AND_COUNTERS: Final = "rows and counters"

_LOOKS: Final = 20
_BETWEEN_LOOKS_SECONDS: Final = 0.1

_KEYS: Final = "account_id, token_id, model, tier"
_HOURS: Final = f"""
WITH late AS (
    SELECT DISTINCT date_trunc('hour', admitted_at, 'UTC') FROM billing_ledgerentry
     WHERE ended_at >= %(mark)s
), of_rows AS (
    {ROWS_OF_HOURS.replace("SELECT", "SELECT date_trunc('hour', admitted_at, 'UTC') AS hour,", 1)}
     GROUP BY hour, account_id, 3, model, tier
), of_hours AS (
    SELECT hour, {_KEYS}, {COLUMNS} FROM billing_usagehour
     WHERE hour >= %(window)s AND hour < %(end)s
)
SELECT hour, {_KEYS}, {{figures}}
  FROM of_rows FULL JOIN of_hours USING (hour, {_KEYS})
 WHERE hour NOT IN (SELECT * FROM late) AND ({{differ}})
 ORDER BY 1, 2, 3, 4, 5
"""  # noqa: S608  (names of our own)
_DAYS: Final = f"""
WITH of_rows AS (
    SELECT (hour AT TIME ZONE 'UTC')::date AS day, {_KEYS}, {SUMS_OF_ROLLUPS} FROM billing_usagehour
     WHERE hour >= %(start)s GROUP BY day, {_KEYS}
), of_hours AS (
    SELECT day, {_KEYS}, {COLUMNS} FROM billing_usageday WHERE day >= %(start)s::date
)
SELECT day, {_KEYS}, {{figures}}
  FROM of_rows FULL JOIN of_hours USING (day, {_KEYS}) WHERE {{differ}} ORDER BY 1, 2, 3, 4, 5
"""  # noqa: S608  (the same)
_BOTH: Final = ", ".join(f"coalesce(of_rows.{n}, 0), coalesce(of_hours.{n}, 0)" for n in NAMES)
_DIFFER: Final = " OR ".join(
    f"coalesce(of_rows.{n}, 0) <> coalesce(of_hours.{n}, 0)" for n in NAMES
)
_ACTIVE: Final = "SELECT DISTINCT account_id FROM billing_ledgerentry WHERE id >= %s"


@dataclass(frozen=True, slots=True)
class Disagreement:
    """One figure of one account that two places give differently; the first is nearer the rows."""

    between: str
    account_id: uuid.UUID
    at: str  # the hour or the day, in ISO form
    figure: str
    first: int
    second: int
    of: str = ""  # token, model and tier, where they are told apart

    def __str__(self) -> str:
        one, other = self.between.split(" and ")
        of = f" ({self.of})" if self.of else ""
        return (
            f"{self.account_id} at {self.at}{of}: {self.figure} is {self.first:,} by the {one}, "
            f"{self.second:,} by the {other}"
        )


def first_day_kept() -> dt.date:
    """The first whole day whose rows are all still there."""
    first = first_whole_hour() + REACH
    return first.date() if first.hour == 0 else (first + DAY).date()


def rollups_disagreeing(since: dt.date) -> list[Disagreement]:
    """Where hours do not have what rows came to, or days not what hours came to, from a day on.

    Days from before the first day kept are left out.
    """
    mark = rolled_to()
    edge = unrolled_since(mark)
    if mark is None or edge is None:
        return []
    start = _midnight(max(since, first_day_kept()))
    found: list[Disagreement] = []
    with connection.cursor() as cursor:
        for day in _days(start, edge):
            end = min(day + DAY, edge)
            bounds = {"window": day, "end": end, "mark": mark, **id_bounds(day, end)}
            cursor.execute(_HOURS.format(figures=_BOTH, differ=_DIFFER), bounds)
            found += _disagreements(ROWS_AND_HOURS, cursor.fetchall())
        cursor.execute(_DAYS.format(figures=_BOTH, differ=_DIFFER), {"start": start})
        found += _disagreements(HOURS_AND_DAYS, cursor.fetchall())
    return found


def counters_disagreeing(
    *, looks: int = _LOOKS, pause: float = _BETWEEN_LOOKS_SECONDS
) -> list[Disagreement]:
    """Where the counters of accounts active today are not what their rows come to.

    Raises QuotaUnavailable or PostgresUnavailable.
    """
    midnight = dt.datetime.now(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    with connection.cursor() as cursor:
        cursor.execute(_ACTIVE, [uuid7_floor(midnight - REACH)])
        accounts = [row[0] for row in cursor.fetchall()]
    return async_to_sync(_look_at)(accounts, looks, pause)


def repair(found: Iterable[Disagreement]) -> None:
    """Sums the hours and days that disagree anew, and makes differing accounts' counters forget.

    Raises QuotaUnavailable or PostgresUnavailable.
    """
    found = list(found)
    hours, days, counters = (
        [one for one in found if one.between == between]
        for between in (ROWS_AND_HOURS, HOURS_AND_DAYS, ROWS_AND_COUNTERS)
    )
    roll_hours(sorted({dt.datetime.fromisoformat(one.at) for one in hours}))
    roll_days(sorted({dt.date.fromisoformat(one.at) for one in days}))
    for account_id in sorted({one.account_id for one in counters}):
        forget(account_id)


async def _look_at(accounts: list[uuid.UUID], looks: int, pause: float) -> list[Disagreement]:
    """What differs at every look."""
    async with opened() as stores:
        plans = PlanBook(stores.pool)
        await plans.refresh()
        limits = plans.limits_of(Tier.FREE)  # anybody's: only the counters beside them matter
        found: list[Disagreement] = []
        for look in range(looks + 1):
            if look:
                await asyncio.sleep(pause)
            differences = [
                await _compare(stores.quota, stores.pool, account, limits) for account in accounts
            ]
            found = [one for differing in differences for one in differing]
            accounts = [differing[0].account_id for differing in differences if differing]
            if not accounts:
                break
        return found


async def _compare(
    quota: Quota, pool: ReadPool, account_id: uuid.UUID, limits: Limits
) -> list[Disagreement]:
    """One look.  The rows come second: an account that was cold is seeded by the first question."""
    counters = (await quota.peek(account_id, limits)).counters
    held = await LedgerSums(pool).sum_account(account_id, counters.at_ms)
    hour, day = hour_of(counters.at).isoformat(), counters.at.date().isoformat()
    pairs = (
        ("requests this hour", hour, held.hour_requests, counters.hour_requests),
        ("requests today", day, held.day_requests, counters.day_requests),
        ("tokens today", day, held.day_tokens, counters.day_tokens),
        ("requests running", day, len(held.running), counters.in_flight),
    )
    return [
        Disagreement(ROWS_AND_COUNTERS, account_id, at, figure, by_rows, by_counters)
        for figure, at, by_rows, by_counters in pairs
        if by_rows != by_counters
    ]


def _disagreements(between: str, rows: Iterable[tuple[Any, ...]]) -> Iterator[Disagreement]:
    for at, account_id, token_id, model, tier, *pairs in rows:
        for name, first, second in zip(NAMES, pairs[::2], pairs[1::2], strict=True):
            if first != second:
                of = f"token {token_id}, {model}, {tier}"
                yield Disagreement(
                    between, account_id, at.isoformat(), name, int(first), int(second), of
                )


def _days(start: dt.datetime, end: dt.datetime) -> Iterator[dt.datetime]:
    while start < end:
        yield start
        start += DAY


def _midnight(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(), dt.UTC)
