"""Many ledger rows quickly, and what they come to by plain sums, to hold roll-ups against."""

import datetime as dt
import hashlib
import uuid
from typing import Any

from django.db import connection

from billing.metering.models import NOBODY, UsageDay, UsageHour

# Ten accounts, three tokens or none, three models; one in five free, one in fifty a correction.
_FILL = """
INSERT INTO billing_ledgerentry (id, account_id, token_id, tier, model, deployment, status, charged,
    streamed, reserved_tokens, prompt_tokens, completion_tokens, cached_tokens, estimated,
    cost_micros, price_micros, attempts, error_code, address_counted, session, requests, corrects,
    reason, admitted_at, ended_at, process_id, deadline_at)
SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint - i %% 50), 12, '0')
           || substr(md5(%(seed)s || i::text), 1, 20))::uuid,
       md5('account' || i %% %(accounts)s)::uuid,
       CASE WHEN i %% 4 > 0 THEN md5('token' || i %% 4)::uuid END,
       CASE WHEN i %% 7 = 0 THEN 'pro' ELSE 'free' END, 'model-' || i %% 3, '', status,
       status IN ('settled', 'correction'), false, 300, sign * (i %% 97), sign * (i %% 211),
       sign * (i %% 5), false, i %% 13,
       CASE WHEN status = 'failed' THEN 0 ELSE sign * (i %% 17) END, '[]', '', false, '', sign,
       CASE WHEN status = 'correction' THEN %(nobody)s::uuid END, '', at,
       at + (i %% 4000) * interval '1 ms', %(nobody)s, at
  FROM (SELECT i, %(now)s::timestamptz - %(span)s::interval * ((i * 7919) %% %(rows)s) / %(rows)s,
               CASE WHEN i %% 50 = 0 THEN 'correction' WHEN i %% 5 = 0 THEN 'failed'
                    ELSE 'settled' END,
               CASE WHEN i %% 50 = 0 THEN -1 ELSE 1 END
          FROM generate_series(1, %(rows)s::bigint) AS i) AS made (i, at, status, sign)
"""
# The sums in other words than the product's.
_TRUTH = """
SELECT account_id, coalesce(token_id, '00000000-0000-0000-0000-000000000000'), model, tier,
       date_trunc(%s, admitted_at, 'UTC'),
       sum(CASE WHEN charged THEN requests ELSE 0 END),
       sum(CASE WHEN charged THEN 0 ELSE 1 END),
       sum(CASE WHEN charged THEN prompt_tokens ELSE 0 END),
       sum(CASE WHEN charged THEN completion_tokens ELSE 0 END),
       sum(CASE WHEN charged THEN cached_tokens ELSE 0 END),
       sum(cost_micros), sum(price_micros),
       sum(CASE WHEN charged AND corrects IS NULL
           THEN round(1000 * extract(epoch FROM ended_at - admitted_at)) ELSE 0 END)
  FROM billing_ledgerentry WHERE ended_at IS NOT NULL GROUP BY 1, 2, 3, 4, 5
"""
_KEYS = ("account_id", "token_id", "model", "tier")
_FIGURES = (
    "requests",
    "free_requests",
    "prompt_tokens",
    "completion_tokens",
    "cached_tokens",
    "cost_micros",
    "price_micros",
    "latency_ms",
)
Sums = dict[tuple[Any, ...], tuple[int, ...]]


def account(number: int) -> uuid.UUID:
    """One of those that `fill` writes rows of."""
    return uuid.UUID(hashlib.md5(f"account{number}".encode()).hexdigest())


def fill(rows: int, *, span: str, accounts: int = 10, seed: str = "") -> None:
    """Writes ended requests, spread evenly over the `span` (an interval) that ends now."""
    values = {
        "rows": rows,
        "span": span,
        "accounts": accounts,
        "seed": seed,
        "now": dt.datetime.now(dt.UTC),
        "nobody": NOBODY,
    }
    with connection.cursor() as cursor:
        cursor.execute(_FILL, values)


def by_rows(window: str) -> Sums:
    """What the ended rows come to, each `hour` or `day`."""
    with connection.cursor() as cursor:
        cursor.execute(_TRUTH, [window])
        return {row[:5]: tuple(map(int, row[5:])) for row in cursor.fetchall()}


def by_hours() -> Sums:
    """What the roll-up by hour has."""
    return {row[:5]: row[5:] for row in UsageHour.objects.values_list(*_KEYS, "hour", *_FIGURES)}


def by_days() -> Sums:
    """What the roll-up by day has."""
    rows = UsageDay.objects.values_list(*_KEYS, "day", *_FIGURES)
    return {(*row[:4], dt.datetime.combine(row[4], dt.time(), dt.UTC)): row[5:] for row in rows}


def assert_sums_are_those_of_the_rows() -> None:
    """Hours and days have exactly what the rows come to, and nothing else."""
    assert by_hours() == by_rows("hour")
    assert by_days() == by_rows("day")
