"""Answers given again to the account that they were first given to, free of charge.

Only where the request or its model asks for it, and only for exactly the same request.  What is
kept lies in the counter store until its time is over, and is never longer than `most_bytes`.  A
store that is away or has forgotten means no more than that a provider is asked.
"""

import hashlib
import time
import uuid
from contextlib import suppress
from typing import Any

import orjson

from billing.metering.cluster_slots import partition_tag
from billing.metering.quota import Quota, QuotaUnavailable
from billing.metering.redis_store import RedisStore
from gateway.background import Background
from gateway.idempotency.answers import Replay, Shape, StreamRecord, kept_body, replay_of
from gateway.types import Asked, Caller, ModelEntry, Outcome, Presented, Reservation
from gateway.what_is_left import what_is_left


class AnswerCache:
    """The kept answers of all accounts.  One per process."""

    def __init__(self, store: RedisStore, quota: Quota, *, most_bytes: int) -> None:
        self._store = store
        self._quota = quota
        self.most_bytes = most_bytes
        self._background = Background()

    def slot(
        self, caller: Caller, presented: Presented, request: Asked, model: ModelEntry
    ) -> "Slot | None":
        """Where this request's answer is kept; None: nobody asks for that."""
        asked = presented.cache_seconds
        seconds = model.cache_seconds if asked is None else asked
        if not seconds or caller.is_new or self.most_bytes == 0:
            return None
        return Slot(self, caller, _key(caller.account_id, request), seconds)

    async def find(self, key: str, caller: Caller) -> Replay | None:
        """What is kept under a key, with what the caller has left."""
        try:
            kept = await self._store.ask(lambda: self._store.redis.get(key))
        except QuotaUnavailable:
            return None
        if kept is None:
            return None
        head, _, answer = kept.partition(b"\n")
        request_id, deployment, kept_at = orjson.loads(head)
        return replay_of(
            uuid.UUID(request_id),
            deployment,
            answer,
            caller,
            await what_is_left(self._quota, caller),
            cached_for=max(0, int(time.time() - kept_at)),
        )

    def keep(self, key: str, value: bytes, seconds: int) -> None:
        """Keeps it for so many seconds, in the background."""
        self._background.start(self._keep(key, value, seconds))

    async def finish(self) -> None:
        """Returns when what was to be kept is kept."""
        await self._background.finish()

    async def _keep(self, key: str, value: bytes, seconds: int) -> None:
        with suppress(QuotaUnavailable):  # the next one asks a provider again
            await self._store.ask(lambda: self._store.redis.set(key, value, ex=seconds))


class Slot:
    """One request's place in the cache."""

    def __init__(self, cache: AnswerCache, caller: Caller, key: str, seconds: int) -> None:
        self._cache = cache
        self._caller = caller
        self._key = key
        self._seconds = seconds
        self._record = StreamRecord(cache.most_bytes)
        self._request_id = ""
        self._answer: bytes | None = None

    async def find(self) -> Replay | None:
        """The answer that is kept there."""
        return await self._cache.find(self._key, self._caller)

    def whole(self, reservation: Reservation, body: dict[str, Any]) -> None:
        """Takes a whole answer, to be kept once it is settled."""
        self._take(reservation, kept_body(reservation, body))

    def recording(self, shape: Shape) -> Shape:
        """A stream's shaper that notes what goes by."""
        return self._record.recording(shape)

    def streamed(self, reservation: Reservation, last: dict[str, Any] | None) -> None:
        """Takes what went by, to be kept once it is settled."""
        self._take(reservation, self._record.kept(reservation, last))

    def settled(self, outcome: Outcome) -> None:
        """Keeps what was taken, if it was charged."""
        if outcome.charged and self._answer is not None:
            head = orjson.dumps([self._request_id, outcome.deployment, int(time.time())])
            self._cache.keep(self._key, head + b"\n" + self._answer, self._seconds)

    def _take(self, reservation: Reservation, answer: bytes | None) -> None:
        # What a quota has cut short is no answer for when there is more left.
        cut_short = reservation.lowered_max_tokens is not None
        if answer is not None and len(answer) <= self._cache.most_bytes and not cut_short:
            self._request_id, self._answer = str(reservation.request_id), answer


def _key(account_id: uuid.UUID, request: Asked) -> str:
    """Of exactly this request of this account's."""
    asked = [request.kind, request]
    digest = hashlib.sha256(orjson.dumps(asked, option=orjson.OPT_SORT_KEYS)).hexdigest()
    return f"{partition_tag('a', account_id.bytes)}:answer:{account_id}:{digest}"
