"""What the ledger says of an account: the truth that its counters are rebuilt from."""

import datetime as dt
import uuid
from dataclasses import dataclass
from typing import Any, Final, Protocol

from accounts.identifiers import uuid7_floor
from accounts.postgres import ReadPool

_LONGEST_REQUEST: Final = dt.timedelta(hours=1)

# One statement, so that sums and running requests are those of the same moment.
_SUM: Final = """
WITH held AS (
    SELECT id, admitted_at, status, reserved_tokens, prompt_tokens + completion_tokens AS tokens,
           process_id, deadline_at
      FROM billing_ledgerentry
     WHERE account_id = %(account)s AND id >= %(first)s AND charged
)
SELECT count(*) FILTER (WHERE admitted_at >= %(hour)s),
       count(*) FILTER (WHERE admitted_at >= %(day)s),
       coalesce(sum(CASE status WHEN 'reserved' THEN reserved_tokens ELSE tokens END)
                FILTER (WHERE admitted_at >= %(day)s), 0),
       coalesce(json_agg(json_build_array(id, extract(epoch FROM admitted_at) * 1000,
                         reserved_tokens, process_id, extract(epoch FROM deadline_at) * 1000))
                FILTER (WHERE status = 'reserved'), '[]')
  FROM held
"""


@dataclass(frozen=True, slots=True)
class Booking:
    """A request as the ledger knows it, for seeding: its windows and tokens, and who runs it."""

    request_id: uuid.UUID
    hour: int
    day: int
    tokens: int
    process_id: uuid.UUID
    deadline_ms: int


@dataclass(frozen=True, slots=True)
class LedgerSum:
    """What the ledger says of an account for the hour and the day (in units since 1970)."""

    hour: int
    hour_requests: int
    day: int
    day_requests: int
    day_tokens: int
    running: tuple[Booking, ...]


class LedgerReader(Protocol):
    """Sums an account's ledger rows.  Raises PostgresUnavailable."""

    async def sum_account(self, account_id: uuid.UUID, at_ms: int) -> LedgerSum: ...


class LedgerSums:
    """The LedgerReader of Postgres.  One per process is enough."""

    def __init__(self, pool: ReadPool) -> None:
        self._pool = pool

    async def sum_account(self, account_id: uuid.UUID, at_ms: int) -> LedgerSum:
        """The account's hour and day at `at_ms`, and what is running.  PostgresUnavailable."""
        hour, day = at_ms // 3_600_000, at_ms // 86_400_000
        day_start = dt.datetime.fromtimestamp(day * 86_400, dt.UTC)
        parameters = {
            "account": account_id,
            "hour": dt.datetime.fromtimestamp(hour * 3_600, dt.UTC),
            "day": day_start,
            # Ids carry their process's clock, `admitted_at` the counter store's.
            "first": uuid7_floor(day_start - _LONGEST_REQUEST),
        }
        ((hour_requests, day_requests, day_tokens, running),) = await self._pool.fetch(
            _SUM, parameters
        )
        return LedgerSum(
            hour, hour_requests, day, day_requests, int(day_tokens), tuple(map(_booking, running))
        )


def _booking(row: list[Any]) -> Booking:
    request_id, admitted_ms, tokens, process_id, deadline_ms = row
    return Booking(
        uuid.UUID(request_id),
        int(admitted_ms) // 3_600_000,
        int(admitted_ms) // 86_400_000,
        tokens,
        uuid.UUID(process_id),
        int(deadline_ms),
    )
