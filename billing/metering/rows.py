"""The ledger's rows as they are written, and the statements that write them, many rows at once.

Rows travel as JSON arrays: encoding one costs the process a few microseconds, and Postgres the
rest.  Every statement may be repeated: a row that exists or has ended is left as it is.
"""

import datetime as dt
import uuid
from dataclasses import dataclass, field
from typing import Any, Final

NOBODY: Final = uuid.UUID(int=0)
"""An id that nothing has: of a commit that ends nothing, of an account that was never seen and, in
a roll-up, of the token of requests that came without one."""


@dataclass(frozen=True, slots=True)
class Intent:
    """A row as it is first written: somebody was admitted, and this is reserved for them."""

    id: uuid.UUID
    account_id: uuid.UUID
    token_id: uuid.UUID | None
    tier: str
    model: str
    streamed: bool
    reserved_tokens: int
    admitted_at: dt.datetime
    deadline_at: dt.datetime
    process_id: uuid.UUID
    address: str | None = None
    address_counted: bool = False
    session: str = ""
    generation: int = 1
    """Of the counter store, in which it was booked: a row of another one is not inserted."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a row ends.  Tokens are what was produced; `charged` says whether they count."""

    id: uuid.UUID
    status: str
    charged: bool
    ended_at: dt.datetime
    deployment: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    estimated: bool = False
    cost_micros: int = 0
    price_micros: int = 0
    attempts: tuple[dict[str, Any], ...] = ()
    error_code: str = ""
    first_token_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """How a row has ended in fact, which may be how somebody else ended it before."""

    status: str
    charged: bool
    tokens: int  # that count: none unless charged
    generation: int = field(default=0, compare=False)
    """Of the counter store, in which that was committed; 0: not by this process."""
    taken_back: bool = False
    """Whether a correction has taken back what it had been charged."""


_INTENT_COLUMNS: Final = {
    "id": "uuid",
    "account_id": "uuid",
    "token_id": "uuid",
    "tier": "text",
    "model": "text",
    "streamed": "boolean",
    "reserved_tokens": "integer",
    "admitted_at": "timestamptz",
    "deadline_at": "timestamptz",
    "process_id": "uuid",
    "address": "inet",
    "address_counted": "boolean",
    "session": "text",
}
_ENDING_COLUMNS: Final = {
    "id": "uuid",
    "status": "text",
    "charged": "boolean",
    "ended_at": "timestamptz",
    "deployment": "text",
    "prompt_tokens": "integer",
    "completion_tokens": "integer",
    "cached_tokens": "integer",
    "estimated": "boolean",
    "cost_micros": "bigint",
    "price_micros": "bigint",
    "attempts": "jsonb",
    "error_code": "text",
    "first_token_at": "timestamptz",
}


def _records(columns: dict[str, str], name: str) -> str:
    types = ", ".join(f"{column} {kind}" for column, kind in columns.items())
    return f"json_to_recordset(%({name}s)s::json) AS {name} ({types})"


def _insert(status: str, *, charged: bool, ended_at: str, error_code: str) -> str:
    columns = ", ".join(_INTENT_COLUMNS)
    return f"""
        INSERT INTO billing_ledgerentry ({columns}, status, charged, ended_at, error_code,
               deployment, prompt_tokens, completion_tokens, cached_tokens, estimated, cost_micros,
               price_micros, attempts, requests, reason)
        SELECT {columns}, '{status}', {charged}, {ended_at}, '{error_code}',
               '', 0, 0, 0, false, 0, 0, '[]', 1, ''
          FROM {_records(_INTENT_COLUMNS | {"generation": "integer"}, "intent")}
    """  # noqa: S608  (names and values of this module only)


_CHANGES: Final = ", ".join(f"{name} = ending.{name}" for name in _ENDING_COLUMNS if name != "id")

# Takes `intents` and `endings`, and the range of the endings' ids, which lets Postgres leave out
# the months that none of them is in.  Gives one row: the counter store's generation, which nothing
# changes until this is committed, and the ids of the rows that were ended.
COMMIT: Final = f"""
    WITH fence AS MATERIALIZED (SELECT billing_generation() AS generation),
    opened AS (
        {_insert("reserved", charged=True, ended_at="NULL", error_code="")}
        JOIN fence USING (generation)
        ON CONFLICT (id) DO NOTHING
    ),
    ended AS (
        UPDATE billing_ledgerentry entry SET {_CHANGES}
          FROM {_records(_ENDING_COLUMNS, "ending")}
         WHERE entry.id = ending.id AND entry.status = 'reserved'
           AND entry.id BETWEEN %(first)s::uuid AND %(last)s::uuid
        RETURNING entry.id
    )
    SELECT generation, ARRAY(SELECT id FROM ended) FROM fence
"""  # noqa: S608  (the same)

# Takes `intents` whose commit went unanswered and whose requests never ran.  It inserts the ones
# that are not there, so that a commit still under way in Postgres finds its row taken, and ended.
VOID: Final = f"""
    {_insert("failed", charged=False, ended_at="now()", error_code="ledger_unavailable")}
    ON CONFLICT (id) DO UPDATE SET status = excluded.status, charged = excluded.charged,
       ended_at = excluded.ended_at, error_code = excluded.error_code
     WHERE billing_ledgerentry.status = 'reserved'
"""

# Takes the `ids` of intents that the fence kept out; gives those that were in all the same.
END_FENCED: Final = """
    UPDATE billing_ledgerentry
       SET status = 'failed', charged = false, ended_at = now(), error_code = 'ledger_unavailable'
     WHERE id = ANY(%(ids)s) AND status = 'reserved'
    RETURNING id
"""

# Takes `ids`; gives what Ended has, in its order: a row as it counts, with its corrections.
HOW_ENDED: Final = """
    SELECT entry.id, entry.status, entry.charged AND corrections.requests > -1,
           CASE WHEN entry.charged AND corrections.requests > -1
                THEN entry.prompt_tokens + entry.completion_tokens + corrections.tokens
                ELSE 0 END,
           0, entry.charged AND corrections.requests <= -1
      FROM billing_ledgerentry entry
     CROSS JOIN LATERAL (
           SELECT coalesce(sum(requests), 0) AS requests,
                  coalesce(sum(prompt_tokens + completion_tokens), 0)::bigint AS tokens
             FROM billing_ledgerentry
            WHERE account_id = entry.account_id AND admitted_at = entry.admitted_at
              AND corrects = entry.id) AS corrections
     WHERE entry.id = ANY(%(ids)s)
"""

# Holds the rows of these `ids`, so that nobody else takes them back meanwhile.
HOLD: Final = "SELECT FROM billing_ledgerentry WHERE id = ANY(%(ids)s) FOR UPDATE"

_TAKEN_FROM: Final = ("prompt_tokens", "completion_tokens", "cached_tokens", "price_micros")
_KEPT: Final = (
    *("account_id", "token_id", "tier", "model", "deployment", "session", "address"),
    *("address_counted", "streamed", "admitted_at", "process_id", "deadline_at"),
)

# Takes the `ids` of held rows that were charged and the `corrections`, an id for each: what
# `billing.metering.corrections.take_back` writes, of those that nobody has corrected.
TAKE_BACK: Final = f"""
    INSERT INTO billing_ledgerentry (id, corrects, reason, status, charged, ended_at, requests,
           reserved_tokens, cost_micros, estimated, attempts, error_code,
           {", ".join(_KEPT)}, {", ".join(_TAKEN_FROM)})
    SELECT correction, entry.id, %(reason)s, 'correction', true, now(), -1, 0, 0, false, '[]', '',
           {", ".join(f"entry.{name}" for name in _KEPT)},
           {", ".join(f"-entry.{name}" for name in _TAKEN_FROM)}
      FROM unnest(%(ids)s::uuid[], %(corrections)s::uuid[]) AS wanted (id, correction)
      JOIN billing_ledgerentry entry USING (id)
     WHERE entry.charged AND entry.status <> 'reserved'
       AND NOT EXISTS (SELECT FROM billing_ledgerentry other
                        WHERE other.account_id = entry.account_id
                          AND other.admitted_at = entry.admitted_at AND other.corrects = entry.id)
"""  # noqa: S608  (names of this module only)
