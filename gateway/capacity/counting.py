"""Takes a deployment's capacity before it is asked, and gives back what a request did not use.

No limit of ours hangs on this: it keeps a provider from refusing what we could have sent elsewhere.
So a counter store that is away, or has forgotten, lets requests through, and the provider says no.
"""

import asyncio
import uuid
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from billing.metering.account_counters import PARTITIONS
from billing.metering.redis_store import NO_LIMIT, Call, Clock, QuotaUnavailable, RedisStore
from gateway.errors import ProviderUnavailable
from gateway.types import Reservation, Target

_SCRIPT: Final = "capacity"
NEVER: Final = -1


@dataclass(slots=True, eq=False)
class CapacityTaken(ProviderUnavailable):
    """The deployment's provider would refuse just now.  `wait`: seconds; None, it never fits."""

    code: str = "capacity_taken"
    wait: float | None = None


@dataclass(frozen=True, slots=True)
class Use:
    """What of a deployment's capacity is used."""

    minute_requests: int
    minute_tokens: int
    day_requests: int
    day_tokens: int


class Capacity:
    """The counters of all deployments.  One per process."""

    def __init__(self, store: RedisStore, clock: Clock | None = None) -> None:
        self._store = store
        self._clock = clock or Clock()
        self._ending: set[asyncio.Task[None]] = set()  # the loop itself holds tasks weakly
        store.register(_SCRIPT, Path(__file__).with_name("capacity.lua"))

    def turns(self, reservation: Reservation) -> "Turns":
        """For the deployments that are tried for a request, one after another."""
        return Turns(self, reservation)

    async def take(self, target: Target, request_id: uuid.UUID, tokens: int) -> None:
        """Takes a request and so many tokens; CapacityTaken, and then nothing is taken."""
        limits = target.capacity
        if limits is None:
            return
        of_limits = (NO_LIMIT if limit is None else limit for limit in limits)
        call = self._call(target.deployment, "take", str(request_id), tokens, *of_limits)
        try:
            (wait_ms,) = await self._store.run(call)
        except QuotaUnavailable:
            return
        if wait_ms:
            wait = None if wait_ms == NEVER else wait_ms / 1000
            raise CapacityTaken("The provider's limit is reached.", wait=wait)

    def end(self, target: Target, request_id: uuid.UUID, tokens: int) -> None:
        """Counts what a request took in place of what was reserved, in the background."""
        task = asyncio.create_task(self._end(target, request_id, tokens))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def finish(self) -> None:
        """Returns when what was ended has been counted."""
        await asyncio.gather(*self._ending)

    async def used(self, deployment: str) -> Use:
        """What is used of it.  QuotaUnavailable."""
        (figures,) = await self._store.run(self._call(deployment, "peek"))
        return Use(*figures)

    async def _end(self, target: Target, request_id: uuid.UUID, tokens: int) -> None:
        try:
            await self._store.run(self._call(target.deployment, "end", str(request_id), tokens))
        except QuotaUnavailable:
            return  # it stays counted as reserved, for a minute and for the day

    def _call(self, deployment: str, name: str, *arguments: str | int) -> Call:
        partition = zlib.crc32(deployment.encode()) % PARTITIONS
        tag = f"scalix:{{c{partition:03}}}:capacity:{deployment}"
        return Call(_SCRIPT, (f"{tag}:taken", tag), (name, self._clock.ms, *arguments))


class Turns:
    """One request's turns at deployments: at most one of them has its capacity at a time."""

    def __init__(self, capacity: Capacity, reservation: Reservation) -> None:
        self._capacity = capacity
        self._request_id = reservation.request_id
        request = reservation.request
        # Where nothing limits the answer nobody can say its tokens: they count when it has ended.
        answer = (request.max_tokens or 0) * request.choices
        self._tokens = reservation.prompt_bound + answer
        self._holding: Target | None = None

    async def take(self, target: Target) -> None:
        """The next deployment's turn; the one before has failed.  CapacityTaken."""
        self.end(tokens=0)
        await self._capacity.take(target, self._request_id, self._tokens)
        if target.capacity is not None:
            self._holding = target

    def end(self, *, tokens: int) -> None:
        """The last one's turn is over, and took so many tokens of its provider."""
        if self._holding is not None:
            self._capacity.end(self._holding, self._request_id, tokens)
            self._holding = None
