"""Books a request and writes its ledger row: both, or neither.

In whichever store counts just now.  With Redis: the counters first, then the row by group commit,
then a look whether the booking still stands.  Without it, where the operator has chosen so
(REDIS_AWAY=ledger): both in one transaction of Postgres.
"""

import asyncio
import datetime as dt
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from accounts.postgres import PostgresUnavailable
from billing.metering.debts import QuotaDebts
from billing.metering.fence import Fence
from billing.metering.ledger import Ending, Intent, LedgerFenced, LedgerUnavailable, LedgerWriter
from billing.metering.ledger_admission import LedgerAdmission
from billing.metering.processes import Heartbeat
from billing.metering.quota import (
    Quota,
    QuotaBooking,
    QuotaRefused,
    QuotaRequest,
    QuotaUnavailable,
)
from billing.metering.redis_store import NotAsked

logger = logging.getLogger(__name__)

_TRIES: Final = 5  # each but the first because the store changed meanwhile
RowOf = Callable[[QuotaBooking], Intent]


class NotLiving(Exception):
    """This process may have been taken for dead: what it books may be swept up."""


@dataclass(frozen=True, slots=True)
class Bookings:
    """One per process.  `survives_redis`: whether the ledger decides while Redis is away."""

    quota: Quota
    ledger: LedgerWriter
    without_redis: LedgerAdmission
    fence: Fence
    debts: QuotaDebts
    heartbeat: Heartbeat
    survives_redis: bool

    async def open(self, wanted: QuotaRequest, row_of: RowOf) -> QuotaBooking:
        """Books and writes the row that `row_of` makes of the booking.

        QuotaRefused, QuotaUnavailable, LedgerUnavailable, PostgresUnavailable or NotLiving, and
        then nothing is booked and no row is open.
        """
        for _ in range(_TRIES):
            try:
                if self.fence.in_redis:
                    return await self._open_with_redis(wanted, row_of)
                if self.survives_redis:
                    return await self._open_without_redis(wanted, row_of)
                raise QuotaUnavailable("Redis is away")
            except LedgerFenced as fenced:
                self.fence.saw(fenced.generation)
        raise QuotaUnavailable("the counter store keeps changing")

    async def _open_with_redis(self, wanted: QuotaRequest, row_of: RowOf) -> QuotaBooking:
        generation = self.fence.number
        try:
            booking = await self.quota.reserve(wanted)
            await self._write(wanted, row_of(booking), booking)
        except (QuotaRefused, LedgerFenced):
            raise
        except BaseException as error:
            # Cancelled, or a store went away: whether it was booked is not known. Unbooking what
            # was not booked changes nothing, but is in the way of refunds when there are many.
            if not isinstance(error, NotAsked):
                self._unbook(wanted, generation)
            if isinstance(error, QuotaUnavailable) and self.survives_redis:
                await self.fence.move(generation)
                raise LedgerFenced(self.fence.number) from error
            raise
        return booking

    async def _write(self, wanted: QuotaRequest, intent: Intent, booking: QuotaBooking) -> None:
        await self.ledger.open(intent)
        try:
            await self._confirm(wanted, booking)
        except BaseException as error:
            # The row stands, the booking may not: the row ends here.
            code = "quota_refused" if isinstance(error, QuotaRefused) else "quota_unavailable"
            self._end(intent, code)
            if isinstance(error, QuotaUnavailable):  # its id is taken now: it can't be tried again
                raise LedgerUnavailable(str(error)) from error
            raise

    async def _confirm(self, wanted: QuotaRequest, booking: QuotaBooking) -> None:
        """Sees that the booking stands beside the row that is committed now."""
        if not self.heartbeat.lived_since(booking.asked_at):
            raise NotLiving
        if booking.may_be_forgotten(self.quota.commit_bound):
            granted = booking.output_tokens  # as the row has it, or nothing
            least = wanted.least_output_tokens if granted is None else granted
            await self.quota.reserve(
                replace(wanted, output_tokens=granted, least_output_tokens=least)
            )

    async def _open_without_redis(self, wanted: QuotaRequest, row_of: RowOf) -> QuotaBooking:
        written: list[Intent] = []

        def noted(booking: QuotaBooking) -> Intent:
            written.append(row_of(booking))
            return written[-1]

        try:
            booking = await self.without_redis.open(wanted, self.fence.number, noted)
        except (PostgresUnavailable, asyncio.CancelledError):
            for intent in written:  # it may have been committed
                self.ledger.void(intent)
            raise
        if not self.heartbeat.lived_since(booking.asked_at):
            self._end(written[-1], "quota_unavailable")
            raise NotLiving
        return booking

    def _end(self, intent: Intent, code: str) -> None:
        now = dt.datetime.now(dt.UTC)
        self.ledger.owe(Ending(intent.id, "failed", False, now, error_code=code))

    def _unbook(self, wanted: QuotaRequest, generation: int) -> None:
        self.debts.owe(
            wanted.account_id,
            wanted.request_id,
            charged=False,
            tokens=0,
            address=wanted.counted_address,
            generation=generation,
        )
