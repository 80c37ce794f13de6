"""Each deployment's answers by the minute, summed from the ledger's rows.

What counts is an attempt, not a request: a deployment that failed has failed, whoever answered in
its place.  A minute is always summed whole, from the rows that ended in it, so that a run may be
repeated, cut off, late, or beside another.  From where on minutes are summed is found as
`billing.metering.rollups` does it, with a mark of its own: every row that ended before it is in.
"""

import datetime as dt
from typing import Any, Final

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from accounts.identifiers import uuid7_floor
from billing.metering.rollups import OVERLAP, REACH, ROLLUP_TARGET
from billing.models import RollupMark
from gateway.health.latency import BUCKET_SQL
from gateway.health.models import GATEWAY, QualityMinute

MARK: Final = 2  # this roll-up's row
KEPT: Final = dt.timedelta(days=3)
"""Longer than the longest window, and than a day that is summed from them."""

_LOCK: Final = 0x5CA14  # these sums', among the database's advisory locks
_STRIDE: Final = dt.timedelta(hours=6)  # of endings, in one transaction
_SUMS: Final = (
    *("succeeded", "failed", "timeouts", "tokens"),
    *("completion_tokens", "generating_ms"),
)
_CHANGES: Final = ", ".join(f"{name} = excluded.{name}" for name in _SUMS)
_OLD: Final = ", ".join(f"gateway_qualityminute.{name}" for name in _SUMS)
_NEW: Final = ", ".join(f"excluded.{name}" for name in _SUMS)

# Which outcomes speak for a deployment is `gateway.health.circuits.judged`; a stream that was cut
# is in the ledger under that name.  The gateway itself has failed where an admitted request got no
# answer and that was not its caller's doing.
_ROLL: Final = f"""
WITH ended AS MATERIALIZED (
    SELECT date_trunc('minute', ended_at) AS minute, status, error_code, streamed, attempts,
           prompt_tokens, completion_tokens, first_token_at, ended_at
      FROM billing_ledgerentry
     WHERE id >= %(first)s AND ended_at >= %(since)s AND ended_at < %(until)s
       AND status NOT IN ('reserved', 'correction')
), answers AS (
    SELECT minute, attempt.deployment, attempt.outcome = 'completed' AS good,
           attempt.outcome = 'provider_timeout' AS timeout,
           CASE WHEN streamed AND attempt.outcome IN ('completed', 'stream_cut')
                THEN {BUCKET_SQL % {"milliseconds": "attempt.milliseconds"}} ELSE 0 END AS bucket,
           prompt_tokens + completion_tokens AS tokens, completion_tokens,
           CASE WHEN streamed THEN 1000 * extract(epoch FROM ended_at - first_token_at)
                ELSE attempt.milliseconds END AS generating_ms
      FROM ended CROSS JOIN LATERAL jsonb_to_recordset(attempts)
           AS attempt (deployment text, outcome text, milliseconds integer)
     WHERE attempt.outcome IN ('completed', 'stream_cut')
        OR starts_with(attempt.outcome, 'provider_')
    UNION ALL
    SELECT minute, '{GATEWAY}', status = 'settled', false, 0,
           prompt_tokens + completion_tokens, completion_tokens,
           1000 * extract(epoch FROM ended_at - coalesce(first_token_at, ended_at))
      FROM ended
     WHERE status IN ('settled', 'abandoned')
        OR status = 'failed' AND error_code <> 'invalid_request'
)
INSERT INTO gateway_qualityminute (minute, deployment, bucket, {", ".join(_SUMS)})
SELECT minute, deployment, bucket, count(*) FILTER (WHERE good), count(*) FILTER (WHERE NOT good),
       count(*) FILTER (WHERE timeout), coalesce(sum(tokens) FILTER (WHERE good), 0),
       coalesce(sum(completion_tokens) FILTER (WHERE good), 0),
       coalesce(sum(greatest(generating_ms, 0)) FILTER (WHERE good), 0)::bigint
  FROM answers GROUP BY 1, 2, 3
ON CONFLICT (minute, deployment, bucket) DO UPDATE SET {_CHANGES}
 WHERE ({_OLD}) IS DISTINCT FROM ({_NEW})
"""  # noqa: S608  (names of this module only)


def roll_up(now: dt.datetime | None = None) -> bool:
    """Brings the minutes up to now, whose own is not over; False if another run is at it."""
    now = now or timezone.now()
    since: dt.datetime | None = None
    while True:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK])
            if not cursor.fetchone()[0]:
                return False
            since = _step(cursor, now, since)
        if since is None:
            return True


def prune(now: dt.datetime) -> None:
    """Deletes minutes that no window reaches any more."""
    QualityMinute.objects.filter(minute__lt=now - KEPT).delete()


def minute_of(moment: dt.datetime) -> dt.datetime:
    """The start of its clock minute."""
    return moment.replace(second=0, microsecond=0)


def _step(cursor: Any, now: dt.datetime, since: dt.datetime | None) -> dt.datetime | None:
    """One transaction's part, from the mark on if not from `since`; where the next one begins."""
    # Before the rows are looked at: what ends after this moment ends after the new mark.
    cursor.execute(ROLLUP_TARGET)
    target = min(cursor.fetchone()[0], now)
    if since is None:
        mark = RollupMark.objects.filter(pk=MARK).first()
        oldest = now - KEPT + dt.timedelta(days=1)  # what is older would soon be deleted
        since = minute_of(max(mark.rolled_to if mark else oldest, oldest) - OVERLAP)
    until = since + _STRIDE
    done = until >= now
    reach = REACH + dt.timedelta(seconds=settings.GATEWAY_DEADLINE_SECONDS)
    bounds = {
        "since": since,
        "until": dt.datetime.max.replace(tzinfo=dt.UTC) if done else until,
        "first": uuid7_floor(since - reach),
    }
    cursor.execute(_ROLL, bounds)
    rolled_to = target if done else min(target, until)
    RollupMark.objects.update_or_create(pk=MARK, defaults={"rolled_to": rolled_to})
    return None if done else until
