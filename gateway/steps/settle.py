"""Step 5: what a request came to, in the ledger and in the counters, exactly once.

The ledger is committed first: it is the truth.  Settling goes on when the caller's task is
cancelled, and what a store that is away could not be told stays owed to it.
"""

import asyncio
import datetime as dt
import logging
import uuid
from dataclasses import asdict, replace
from typing import Final

from billing.metering.debts import QuotaDebts
from billing.metering.fence import Generation
from billing.metering.ledger import COMMIT_SECONDS, Ended, Ending, LedgerUnavailable, LedgerWriter
from billing.metering.prices import PriceBook
from billing.metering.quota import Quota, QuotaUnavailable
from billing.metering.usage import Usage
from gateway.background import Background
from gateway.errors import GatewayError, StoreUnavailable
from gateway.types import Keep, Outcome, Reservation, TokenUsage

logger = logging.getLogger(__name__)

# Longer than a commit may take: what was sent has come to something by then, or is lost.
_PATIENCE_SECONDS: Final = COMMIT_SECONDS + 1.0


class Settlement:
    """Settles requests.  One per process."""

    def __init__(
        self,
        ledger: LedgerWriter,
        quota: Quota,
        debts: QuotaDebts,
        prices: PriceBook,
        generation: Generation,
    ) -> None:
        self._ledger = ledger
        self._quota = quota
        self._debts = debts
        self._prices = prices
        self._generation = generation
        self._expected: dict[uuid.UUID, asyncio.Future[None]] = {}
        self._background = Background()

    def expect(self, reservation: Reservation) -> None:
        """Notes that this request is to be settled: `finish` waits for it."""
        self._expected[reservation.request_id] = asyncio.get_running_loop().create_future()

    async def settle(
        self, reservation: Reservation, outcome: Outcome, keep: Keep | None = None
    ) -> Usage:
        """The account's usage afterwards.

        `keep` is called first: what is charged has been kept.  Its error settles the request as
        failed, and is raised.

        StoreUnavailable when the ledger can't be reached: nothing is charged then, so an answer
        that the caller has not seen yet must not be given.
        """
        task = self._background.start(
            self._settle(reservation, outcome)
            if keep is None
            else self._keep_and_settle(reservation, outcome, keep)
        )
        task.add_done_callback(lambda _: self._settled(reservation))
        return await asyncio.shield(task)

    async def finish(self, patience: float = 10.0) -> None:
        """Waits for the requests that still run, and for settlements behind cancelled ones."""
        if self._expected:
            await asyncio.wait(self._expected.values(), timeout=patience)
        if self._expected:
            logger.warning("stopping with %d requests unsettled", len(self._expected))

    def _settled(self, reservation: Reservation) -> None:
        if done := self._expected.pop(reservation.request_id, None):
            done.set_result(None)

    async def _keep_and_settle(
        self, reservation: Reservation, outcome: Outcome, keep: Keep
    ) -> Usage:
        try:
            await keep()
        except Exception as error:
            code = error.code if isinstance(error, GatewayError) else "internal_error"
            failed = replace(outcome, status="failed", charged=False, error_code=code)
            await self._settle(reservation, failed)
            raise
        return await self._settle(reservation, outcome)

    async def _settle(self, reservation: Reservation, outcome: Outcome) -> Usage:
        try:
            ended = await self._ledger.end(
                self._ending(reservation, outcome), patience=_PATIENCE_SECONDS
            )
        except LedgerUnavailable as error:
            if outcome.status == "settled" and not reservation.request.stream:
                # Nobody has seen the answer, and nobody will: the row must not be charged.  If it
                # has been, by a commit that went unanswered, the ledger takes it back.
                outcome = replace(outcome, status="failed", charged=False)
                outcome = replace(outcome, error_code="ledger_unavailable")
                logger.warning("the answer of %s is withheld: no ledger", reservation.wire_id)
            # The counters hear of it once the ledger has it, as the ledger has it.
            self._ledger.owe(
                self._ending(reservation, outcome), lambda ended: self._owe(reservation, ended)
            )
            consequence = "is charged once it is back" if outcome.charged else "was not charged"
            raise StoreUnavailable(
                f"The ledger went away while this was answered. It {consequence}.",
                metadata={"refunded": not outcome.charged},
            ) from error
        return await self._tell_the_counters(reservation, ended)

    async def _tell_the_counters(self, reservation: Reservation, ended: Ended) -> Usage:
        self._generation.saw(ended.generation)
        if not Generation(ended.generation).in_redis:  # the ledger, which has it, is what counts
            return reservation.usage
        try:
            counters = await self._quota.settle(
                reservation.caller.account_id,
                reservation.request_id,
                charged=ended.charged,
                tokens=ended.tokens,
                address=reservation.caller.counted_address,
                generation=ended.generation,
            )
        except QuotaUnavailable:
            self._owe(reservation, ended)
            counters = None
        return reservation.usage if counters is None else replace(
            reservation.usage, counters=counters
        )  # fmt: skip

    def _owe(self, reservation: Reservation, ended: Ended) -> None:
        self._debts.owe(
            reservation.caller.account_id,
            reservation.request_id,
            charged=ended.charged,
            tokens=ended.tokens,
            address=reservation.caller.counted_address,
            generation=ended.generation,
            anew=ended.taken_back,
        )

    def _ending(self, reservation: Reservation, outcome: Outcome) -> Ending:
        tokens: TokenUsage = outcome.tokens
        cost = self._prices.provider_cost(outcome.deployment)
        price = self._prices.plan_price(outcome.model or reservation.model.name)
        amounts = (tokens.prompt_tokens, tokens.completion_tokens)
        return Ending(
            id=reservation.request_id,
            status=outcome.status,
            charged=outcome.charged,
            ended_at=dt.datetime.now(dt.UTC),
            deployment=outcome.deployment,
            prompt_tokens=tokens.prompt_tokens,
            completion_tokens=tokens.completion_tokens,
            cached_tokens=tokens.cached_tokens,
            estimated=tokens.estimated,
            cost_micros=cost.of(*amounts),
            price_micros=price.of(*amounts) if outcome.charged else 0,
            attempts=tuple(asdict(attempt) for attempt in outcome.attempts),
            error_code=outcome.error_code,
            first_token_at=outcome.first_token_at,
        )
