"""A request that carries a key runs once: the others wait for its answer, or get it again.

The order in which a request with a key leaves its traces, and what a death after each leaves:

    claim      the key is in use, until its process is dead or its time to be admitted is over
    admission  the ledger's row is reserved, and decides from here on: the sweeper ends it
    answer     stored, which is worth nothing as long as the row is not settled
    settlement the answer counts: from this commit on, whoever repeats the request gets it
    delivery

So no answer is charged that is not there to be given again, and none is given again that was not
charged.  docs/decisions/0012-idempotency.md has it at length.
"""

import asyncio
import contextlib
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, Final

import psycopg

from accounts.postgres import PostgresUnavailable, ReadPool
from billing.metering.processes import Heartbeat
from billing.metering.quota import Quota
from gateway.background import Background
from gateway.errors import AnswerNotKept, StoreUnavailable
from gateway.idempotency.answers import Replay, Shape, StreamRecord, kept_body, replay_of
from gateway.idempotency.claims import ADMISSION_SECONDS, Claim, Claims, Stored, in_use
from gateway.idempotency.key import HEADER, IdempotencyKey
from gateway.types import Caller, Keep, Outcome, Reply, Reservation, StreamReply
from gateway.what_is_left import what_is_left

_MARGIN_SECONDS: Final = 5.0  # clocks drift


class Held:
    """A key that a running request holds: what it keeps of the answer, and when."""

    def __init__(
        self, claims: Claims, claim: Claim, asked_at: float, heartbeat: Heartbeat, most_bytes: int
    ) -> None:
        self._claims = claims
        self._claim = claim
        self._asked_at = asked_at
        self._heartbeat = heartbeat
        self._most_bytes = most_bytes
        self._record = StreamRecord(most_bytes)
        self.is_answered = False
        """Whether there is an answer: what becomes of the key is then the settlement's."""

    def require(self) -> None:
        """StoreUnavailable if the key may have been taken over before the ledger had its row.

        The race: this process is frozen between claim and admission, is taken for dead, and comes
        back.  Asked once the row is there, no provider hears of it twice.
        """
        in_time = time.monotonic() - self._asked_at < ADMISSION_SECONDS - _MARGIN_SECONDS
        if not (in_time and self._heartbeat.lived_since(self._asked_at)):
            raise StoreUnavailable("This server was cut off for a moment. Try again.")

    def whole(self, reservation: Reservation, body: dict[str, Any]) -> Keep:
        """Stores a whole answer; to be called before it is settled."""
        self.is_answered = True
        return lambda: self._store(kept_body(reservation, body))

    def recording(self, shape: Shape) -> Shape:
        """A stream's shaper that notes what goes by."""
        return self._record.recording(shape)

    def streamed(self, reservation: Reservation, last: dict[str, Any] | None) -> Keep:
        """Stores what went by, and the last chunk, if it has one of its own, for the usage."""
        self.is_answered = True
        return lambda: self._store(self._record.kept(reservation, last))

    def settled(self, outcome: Outcome) -> None:
        """Nothing to do: what it keeps was kept before."""

    async def _store(self, answer: bytes | None) -> None:
        if answer is not None and len(answer) > self._most_bytes:
            answer = None
        try:
            is_ours = await self._claims.store(self._claim, answer)
        except (PostgresUnavailable, psycopg.Error) as error:
            raise StoreUnavailable(
                f"The answer could not be kept for its {HEADER}. It was not charged. Try again.",
                metadata={"refunded": True},
            ) from error
        if not is_ours:  # taken over, or its account is gone: another request is the one to charge
            raise in_use(self._claim.key)


Work = Callable[[Held], Awaitable[Reply | StreamReply | Replay]]


class Once:
    """Runs requests that carry a key.  One per process; answers are kept up to `most_bytes`."""

    def __init__(
        self,
        reads: ReadPool,
        quota: Quota,
        heartbeat: Heartbeat,
        *,
        process_id: uuid.UUID,
        most_bytes: int,
    ) -> None:
        self._claims = Claims(reads, process_id)
        self._quota = quota
        self._heartbeat = heartbeat
        self._most_bytes = most_bytes
        self._background = Background()

    async def answer(
        self, caller: Caller, key: IdempotencyKey, request_id: uuid.UUID, work: Work
    ) -> Reply | StreamReply | Replay:
        """What `work` gives; or what an earlier request with this key was answered.

        KeyInUse, KeyReused, AnswerNotKept, and StoreUnavailable.
        """
        asked_at = time.monotonic()
        claim = Claim(caller.account_id, key, request_id)
        try:
            stored = await self._claims.take(claim)
        except PostgresUnavailable as error:
            raise StoreUnavailable("The stored answers are away. Try again shortly.") from error
        except asyncio.CancelledError:
            await self._release(claim)  # whether it was taken is not known
            raise
        if stored is not None:
            return await self._again(stored, caller)
        held = Held(self._claims, claim, asked_at, self._heartbeat, self._most_bytes)
        try:
            return await work(held)
        except BaseException:
            if not held.is_answered:
                await self._release(claim)
            raise

    async def finish(self) -> None:
        """Waits for keys that are being given up."""
        await self._background.finish()

    async def _again(self, stored: Stored, caller: Caller) -> Replay:
        if stored.answer is None:
            raise AnswerNotKept(
                "The request with this key was answered and charged, and its answer was too large "
                "to be kept. Take a new key to ask again.",
                param=HEADER,
                metadata={"max": self._most_bytes},
            )
        usage = await what_is_left(self._quota, caller)
        return replay_of(stored.request_id, stored.deployment, stored.answer, caller, usage)

    async def _release(self, claim: Claim) -> None:
        """Gives up the key, also when the caller's task is cancelled meanwhile."""
        await asyncio.shield(self._background.start(self._try_to_release(claim)))

    async def _try_to_release(self, claim: Claim) -> None:
        # Without Postgres it is found free later: its row has ended, or it is past its time.
        with contextlib.suppress(PostgresUnavailable):
            await self._claims.release(claim)
