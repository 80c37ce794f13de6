"""What one account used in a span of days, exact up to now, at a cost that its past does not raise.

Days and hours that are rolled up whole come from the roll-ups, and what came since from the rows
of the ledger: the last hour's, or two hours' just after the turn of one.
"""

import datetime as dt
import uuid
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from django.db import connection
from django.utils import timezone

from accounts.postgres import ReadPool
from billing.metering.figures import COLUMNS, SUMS_OF_ROLLUPS, SUMS_OF_ROWS, Figures
from billing.metering.rollups import DAY, MARK, id_bounds, unrolled_since
from billing.metering.rows import NOBODY

BEHIND: Final = dt.timedelta(minutes=15)  # longer than the longest request holds the mark back
_ROLLED_TO: Final = f"SELECT rolled_to FROM billing_rollupmark WHERE id = {MARK}"  # noqa: S608


class By(StrEnum):
    """What figures are asked for each of."""

    HOUR = "hour"
    DAY = "day"
    MODEL = "model"
    TOKEN = "token"  # noqa: S105  (no secret)


_KEYS: Final = {
    By.HOUR: "at",
    By.DAY: "(at AT TIME ZONE 'UTC')::date",
    By.MODEL: "model",
    By.TOKEN: "token_id",
}
_PARTS: Final = f"""
SELECT day::timestamp AT TIME ZONE 'UTC' AS at, token_id, model, {COLUMNS}
  FROM billing_usageday
 WHERE account_id = %(account)s AND day >= %(start)s::date AND day < %(hours_from)s::date
UNION ALL
SELECT hour, token_id, model, {COLUMNS} FROM billing_usagehour
 WHERE account_id = %(account)s AND hour >= %(hours_from)s AND hour < %(rows_from)s
UNION ALL
SELECT date_trunc('hour', admitted_at, 'UTC'), coalesce(token_id, '{NOBODY}'), model, {SUMS_OF_ROWS}
  FROM billing_ledgerentry
 WHERE account_id = %(account)s AND admitted_at >= %(rows_from)s AND admitted_at < %(end)s
   AND id >= %(first)s AND id < %(last)s AND status <> 'reserved'
 GROUP BY 1, 2, 3
"""  # noqa: S608  (names of our own)


@dataclass(frozen=True, slots=True)
class Span:
    """UTC days, both ends included."""

    first: dt.date
    last: dt.date

    @property
    def start(self) -> dt.datetime:
        """The first one's midnight."""
        return _midnight(self.first)

    @property
    def end(self) -> dt.datetime:
        """The midnight after the last one."""
        return _midnight(self.last) + DAY

    @property
    def days(self) -> int:
        """How many."""
        return (self.last - self.first).days + 1


Key = dt.datetime | dt.date | str | uuid.UUID
"""An hour's start, a day, a model's name as it was asked for, or a token's id (NOBODY: none)."""


def spent(account_id: uuid.UUID, span: Span, by: By) -> dict[Any, Figures]:
    """The figures of each hour, day, model or token that has any, in order."""
    with connection.cursor() as cursor:
        cursor.execute(_ROLLED_TO)
        mark = cursor.fetchone()
        cursor.execute(*statement(account_id, span, by, mark and mark[0]))
        return _figures(cursor.fetchall())


async def spent_by_pool(
    pool: ReadPool, account_id: uuid.UUID, span: Span, by: By
) -> dict[Any, Figures]:
    """The same, for the request path's processes.  Raises PostgresUnavailable."""
    mark = await pool.fetch(_ROLLED_TO)
    return _figures(
        await pool.fetch(*statement(account_id, span, by, mark[0][0] if mark else None))
    )


def rolled_to() -> dt.datetime | None:
    """How far the roll-ups have come; None before their first run."""
    with connection.cursor() as cursor:
        cursor.execute(_ROLLED_TO)
        mark = cursor.fetchone()
    return mark[0] if mark else None


def is_behind() -> bool:
    """Whether roll-ups should have come farther than they have: the worker, or beat, is away."""
    mark = rolled_to()
    return mark is None or timezone.now() - mark > BEHIND


def statement(
    account_id: uuid.UUID, span: Span, by: By, mark: dt.datetime | None
) -> tuple[str, dict[str, Any]]:
    """The SQL and its parameters.

    `mark` may be older than the roll-ups that the statement sees: hours that were whole then are
    whole, and of the others it reads the rows.
    """
    rows_from = min(max(span.start, unrolled_since(mark) or span.start), span.end)
    hours_from = span.start if by is By.HOUR else _midnight(rows_from.date())
    query = f"""
        SELECT {_KEYS[by]} AS key, {SUMS_OF_ROLLUPS} FROM ({_PARTS}) AS parts
         GROUP BY key ORDER BY key
    """  # noqa: S608  (the same)
    return query, {
        "account": account_id,
        "start": span.start,
        "hours_from": hours_from,
        "rows_from": rows_from,
        "end": span.end,
        **id_bounds(rows_from, span.end),
    }


def _figures(rows: list[tuple[Any, ...]]) -> dict[Any, Figures]:
    return {row[0]: Figures(*row[1:]) for row in rows}


def _midnight(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(), dt.UTC)
