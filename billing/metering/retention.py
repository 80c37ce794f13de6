"""What is kept for how long: whole months of the ledger, of refusals and of hours go; days stay.

A month is detached first, which waits for those who read it and holds up nobody, and dropped when
it is a table of its own.  A run that is cut off in between, or waits for too long, is finished by a
later one.  No month goes whose rows are not in the roll-ups.
"""

import datetime as dt
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from django.conf import settings
from django.db import connection

from billing.metering.models import UsageHour
from billing.metering.partitions import (
    LEDGER,
    REFUSALS,
    Partition,
    detached_months,
    first_of,
    months_of,
    oldest_month,
)
from billing.metering.rollups import OVERLAP, roll_up
from billing.metering.spent import rolled_to

logger = logging.getLogger(__name__)

HOUR_MONTHS: Final = 13
_LONGEST_WAIT: Final = "60 s"  # for those who read: the worker has other things to do
_LOCK: Final = 0x5CA13  # this job's, among the database's advisory locks

_NOT_ROLLED: Final = """
SELECT EXISTS (SELECT 1 FROM {} WHERE status = 'reserved')
    OR EXISTS (SELECT 1 FROM {} WHERE ended_at >= %s)
"""


@dataclass(slots=True)
class Pruned:
    """What went, or would go: months by their tables' names, and how many rows of hours."""

    dropped: list[str] = field(default_factory=list)
    kept_unrolled: list[str] = field(default_factory=list)  # due, but not in the roll-ups yet
    hours: int = 0


def prune(today: dt.date, *, dry_run: bool = False) -> Pruned | None:
    """Drops what is older than the settings say; None if another process is at it.

    Not inside a transaction: a month can't be detached in one without locking everybody out.
    OperationalError if somebody reads for so long that it must be tried again later.
    """
    pruned = Pruned()
    with _alone() as alone, connection.cursor() as cursor:
        if not alone:
            return None
        if not dry_run:
            roll_up()
        for partition in _due(cursor, LEDGER, today, settings.LEDGER_MONTHS):
            if not _rolled(cursor, partition):
                pruned.kept_unrolled.append(partition.name)
                break  # and the later ones, so that what is kept has no hole
            pruned.dropped.append(partition.name)
            if not dry_run:
                _drop(cursor, partition)
        for partition in _due(cursor, REFUSALS, today, settings.REFUSAL_MONTHS):
            pruned.dropped.append(partition.name)
            if not dry_run:
                _drop(cursor, partition)
        pruned.hours = _prune_hours(cursor, today, dry_run=dry_run)
    return pruned


def _due(cursor: Any, table: str, today: dt.date, months: int) -> list[Partition]:
    """The months to go, oldest first, and what a run that was cut off left detached."""
    first_kept = first_of(today, months=-months)
    there = [*months_of(cursor, table), *detached_months(cursor, table)]
    due = [one for one in there if one.month < first_kept]
    return sorted(due, key=lambda partition: partition.month)


def _rolled(cursor: Any, partition: Partition) -> bool:
    mark = rolled_to()
    if mark is None:
        return False
    cursor.execute(_NOT_ROLLED.format(partition.name, partition.name), [mark - OVERLAP])
    return not cursor.fetchone()[0]


def _drop(cursor: Any, partition: Partition) -> None:
    cursor.execute(
        "SELECT inhdetachpending FROM pg_inherits WHERE inhrelid = to_regclass(%s)",
        [partition.name],
    )
    attached = cursor.fetchone()
    if attached is not None:
        how = "FINALIZE" if attached[0] else "CONCURRENTLY"
        cursor.execute(f"SET statement_timeout = '{_LONGEST_WAIT}'")
        try:
            cursor.execute(f"ALTER TABLE {partition.table} DETACH PARTITION {partition.name} {how}")
        finally:
            cursor.execute("RESET statement_timeout")
    cursor.execute(f"DROP TABLE {partition.name}")
    logger.info("dropped %s", partition.name)


def _prune_hours(cursor: Any, today: dt.date, *, dry_run: bool) -> int:
    """Hours of months that the ledger has no rows of: a day may be summed anew until then."""
    months = max(HOUR_MONTHS, settings.LEDGER_MONTHS)
    month = min(first_of(today, months=-months), oldest_month(cursor))
    hours = UsageHour.objects.filter(hour__lt=dt.datetime.combine(month, dt.time(), dt.UTC))
    return hours.count() if dry_run else hours.delete()[0]


@contextmanager
def _alone() -> Iterator[bool]:
    """Whether nobody else prunes; nobody does inside, if so."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK])
        alone = bool(cursor.fetchone()[0])
        try:
            yield alone
        finally:
            if alone:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])
