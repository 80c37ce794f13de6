"""Admission without Redis: decided on the ledger's rows, in the transaction that adds one to them.

Exact, since two requests of one account, or of one address, wait for each other's commit; and
slower, since each reads the account's rows of the day.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import orjson

from accounts.postgres import Connection, ReadPool
from billing.metering.decision import decided
from billing.metering.ledger import LedgerFenced
from billing.metering.quota import QuotaBooking, QuotaRequest
from billing.metering.rows import COMMIT, NOBODY, Intent
from billing.metering.sums import (
    ACCOUNT_SUM,
    ADDRESS_LIST,
    account_parameters,
    account_sum,
    address_parameters,
    address_requests,
)
from billing.metering.usage import AddressUse, Usage

_SECONDS: Final = 5.0
# The account before the address: everybody in the same order, so nobody waits for each other.
_LOCK_ACCOUNT: Final = "SELECT pg_advisory_xact_lock(hashtextextended('account ' || %s, 0))"
_LOCK_ADDRESS: Final = "SELECT pg_advisory_xact_lock(hashtextextended('address ' || %s, 0))"
_NOW: Final = "SELECT billing_generation(), (extract(epoch FROM clock_timestamp()) * 1000)::bigint"


class LedgerAdmission:
    """Admits in Postgres.  One per process."""

    def __init__(self, pool: ReadPool) -> None:
        self._pool = pool

    async def open(
        self,
        wanted: QuotaRequest,
        generation: int,
        row_of: Callable[[QuotaBooking], Intent],
    ) -> QuotaBooking:
        """Books the request by writing its row, or raises QuotaRefused with nothing written.

        LedgerFenced where another generation counts.  PostgresUnavailable: what has become of the
        row is not known, so it is to be voided.
        """
        asked_at = time.monotonic()
        async with self._pool.transaction(_SECONDS) as connection:
            await connection.execute(_LOCK_ACCOUNT, (str(wanted.account_id),))
            if wanted.counted_address is not None:
                await connection.execute(_LOCK_ADDRESS, (wanted.counted_address,))
            ((current, at_ms),) = await _rows(connection, _NOW, ())
            if current != generation:
                raise LedgerFenced(current)
            before = await _usage(connection, wanted, at_ms)
            output = decided(before, wanted)
            after = _with_it(before, wanted, output)
            booking = QuotaBooking(after, output, asked_at, generation)
            await connection.execute(COMMIT, _row_alone(row_of(booking)))
        return booking


async def _usage(connection: Connection, wanted: QuotaRequest, at_ms: int) -> Usage:
    rows = await _rows(connection, ACCOUNT_SUM, account_parameters(wanted.account_id, at_ms))
    counters = account_sum(rows, at_ms).counters(at_ms, wanted.session)
    address = wanted.counted_address
    if address is None:
        return Usage(wanted.limits, counters)
    rows = await _rows(connection, ADDRESS_LIST, address_parameters(address, at_ms))
    requests = address_requests(rows)
    use = AddressUse(
        at_ms,
        sum(one.minute == at_ms // 60_000 for one in requests),
        len(requests),
        len({one.account_id for one in requests}),
        any(one.account_id == wanted.account_id for one in requests),
    )
    return Usage(wanted.limits, counters, use)


def _with_it(before: Usage, wanted: QuotaRequest, output: int | None) -> Usage:
    """The usage with this request booked."""
    counters, use = before.counters, before.address
    counters = replace(
        counters,
        hour_requests=counters.hour_requests + 1,
        day_requests=counters.day_requests + 1,
        day_tokens=counters.day_tokens + wanted.prompt_tokens + (output or 0),
        in_flight=counters.in_flight + 1,
        session_requests=counters.session_requests + bool(wanted.session),
    )
    if use is not None:
        use = replace(
            use,
            minute_requests=use.minute_requests + 1,
            hour_requests=use.hour_requests + 1,
            hour_accounts=use.hour_accounts + (not use.knows_account),
            knows_account=True,
        )
    return Usage(before.limits, counters, use)


def _row_alone(intent: Intent) -> dict[str, Any]:
    row = orjson.dumps([intent]).decode()
    return {"intents": row, "endings": "[]", "first": NOBODY, "last": NOBODY}


async def _rows(connection: Connection, query: str, parameters: Any) -> list[tuple[Any, ...]]:
    cursor = await connection.execute(query, parameters)
    return await cursor.fetchall()
