"""What the ledger says of an account or an address: the truth that counters are rebuilt from."""

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from accounts.identifiers import uuid7_floor
from accounts.postgres import ReadPool
from billing.metering.usage import Counters

_LONGEST_REQUEST: Final = dt.timedelta(hours=1)

# One statement, so that sums and running requests are those of the same moment.
ACCOUNT_SUM: Final = """
WITH held AS (
    SELECT id, admitted_at, status, requests, session, reserved_tokens,
           prompt_tokens + completion_tokens AS tokens, process_id, deadline_at,
           CASE WHEN address_counted THEN host(address) END AS address
      FROM billing_ledgerentry
     WHERE account_id = %(account)s AND id >= %(first)s AND charged
)
SELECT coalesce(sum(requests) FILTER (WHERE admitted_at >= %(hour)s), 0),
       coalesce(sum(requests) FILTER (WHERE admitted_at >= %(day)s), 0),
       coalesce(sum(CASE status WHEN 'reserved' THEN reserved_tokens ELSE tokens END)
                FILTER (WHERE admitted_at >= %(day)s), 0),
       (SELECT coalesce(json_agg(json_build_array(session, requests)), '[]')
          FROM (SELECT session, sum(requests) AS requests FROM held
                 WHERE session <> '' AND admitted_at >= %(day)s GROUP BY session) AS sessions),
       coalesce(json_agg(json_build_array(id, extract(epoch FROM admitted_at) * 1000,
                         reserved_tokens, process_id, extract(epoch FROM deadline_at) * 1000,
                         session, address))
                FILTER (WHERE status = 'reserved'), '[]')
  FROM held
"""
ADDRESS_LIST: Final = """
SELECT id, extract(epoch FROM admitted_at) * 1000, account_id
  FROM billing_ledgerentry
 WHERE address = %(address)s AND address_counted AND id >= %(first)s AND charged
   AND admitted_at >= %(hour)s AND status <> 'correction'
   AND id NOT IN (SELECT corrects FROM billing_ledgerentry
                   WHERE address = %(address)s AND address_counted AND id >= %(first)s
                     AND status = 'correction' AND requests < 0)
"""


@dataclass(frozen=True, slots=True)
class Booking:
    """A running request as the ledger knows it: its windows and tokens, and who runs it."""

    request_id: uuid.UUID
    hour: int
    day: int
    tokens: int
    process_id: uuid.UUID
    deadline_ms: int
    session: str = ""
    address: str | None = None


@dataclass(frozen=True, slots=True)
class LedgerSum:
    """What the ledger says of an account for the hour and the day (in units since 1970)."""

    hour: int
    hour_requests: int
    day: int
    day_requests: int
    day_tokens: int
    running: tuple[Booking, ...]
    sessions: tuple[tuple[str, int], ...] = ()
    """The day's requests of each session."""

    def counters(self, at_ms: int, session: str = "") -> Counters:
        """What the account's counters are by it, asked for this session."""
        return Counters(
            at_ms,
            self.hour_requests,
            self.day_requests,
            self.day_tokens,
            len(self.running),
            dict(self.sessions).get(session, 0),
        )


@dataclass(frozen=True, slots=True)
class AddressRequest:
    """One of an hour's requests from an address; the minute is in minutes since 1970."""

    request_id: uuid.UUID
    minute: int
    account_id: uuid.UUID


class LedgerReader(Protocol):
    """Reads an account's and an address's ledger rows.  Raises PostgresUnavailable."""

    async def sum_account(self, account_id: uuid.UUID, at_ms: int) -> LedgerSum: ...

    async def list_address(self, address: str, at_ms: int) -> tuple[AddressRequest, ...]: ...


class LedgerSums:
    """The LedgerReader of Postgres.  One per process is enough."""

    def __init__(self, pool: ReadPool) -> None:
        self._pool = pool

    async def sum_account(self, account_id: uuid.UUID, at_ms: int) -> LedgerSum:
        """The account's hour and day at `at_ms`, and what is running.  PostgresUnavailable."""
        rows = await self._pool.fetch(ACCOUNT_SUM, account_parameters(account_id, at_ms))
        return account_sum(rows, at_ms)

    async def list_address(self, address: str, at_ms: int) -> tuple[AddressRequest, ...]:
        """What was admitted from it in the hour of `at_ms` and counts.  PostgresUnavailable."""
        rows = await self._pool.fetch(ADDRESS_LIST, address_parameters(address, at_ms))
        return address_requests(rows)


def account_parameters(account_id: uuid.UUID, at_ms: int) -> Mapping[str, Any]:
    """What ACCOUNT_SUM takes."""
    day_start = _moment(at_ms // 86_400_000 * 86_400)
    return {
        "account": account_id,
        "hour": _moment(at_ms // 3_600_000 * 3_600),
        "day": day_start,
        # Ids carry their process's clock, `admitted_at` the counter store's.
        "first": uuid7_floor(day_start - _LONGEST_REQUEST),
    }


def account_sum(rows: Sequence[tuple[Any, ...]], at_ms: int) -> LedgerSum:
    """What ACCOUNT_SUM gave."""
    ((hour_requests, day_requests, day_tokens, sessions, running),) = rows
    return LedgerSum(
        at_ms // 3_600_000,
        int(hour_requests),
        at_ms // 86_400_000,
        int(day_requests),
        int(day_tokens),
        tuple(map(_booking, running)),
        tuple((session, requests) for session, requests in sessions),
    )


def address_parameters(address: str, at_ms: int) -> Mapping[str, Any]:
    """What ADDRESS_LIST takes."""
    hour_start = _moment(at_ms // 3_600_000 * 3_600)
    first = uuid7_floor(hour_start - _LONGEST_REQUEST)
    return {"address": address, "hour": hour_start, "first": first}


def address_requests(rows: Sequence[tuple[Any, ...]]) -> tuple[AddressRequest, ...]:
    """What ADDRESS_LIST gave."""
    return tuple(
        AddressRequest(request_id, int(admitted_ms) // 60_000, account_id)
        for request_id, admitted_ms, account_id in rows
    )


def _moment(seconds: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


def _booking(row: list[Any]) -> Booking:
    request_id, admitted_ms, tokens, process_id, deadline_ms, session, address = row
    return Booking(
        uuid.UUID(request_id),
        int(admitted_ms) // 3_600_000,
        int(admitted_ms) // 86_400_000,
        tokens,
        uuid.UUID(process_id),
        int(deadline_ms),
        session,
        address,
    )
