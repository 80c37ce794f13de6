"""Takes a deployment's capacity before it is asked, and gives back what a request did not use.

No limit of ours hangs on this: it keeps a provider from refusing what we could have sent elsewhere.
So a counter store that is away, or has forgotten, lets requests through, and the provider says no.
"""

import asyncio
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from billing import gates
from billing.metering.cluster_slots import partition_tag
from billing.metering.redis_store import NO_LIMIT, Call, Clock, QuotaUnavailable, RedisStore
from gateway.background import Background
from gateway.errors import ProviderUnavailable
from gateway.types import Reservation, Target

_SCRIPT: Final = "capacity"
NEVER: Final = -1
RENEW_SECONDS: Final = 10.0  # a third of a lease
_LOOK_SECONDS: Final = 0.25  # a place may be free before it was told: somebody left, or took less


@dataclass(slots=True, eq=False)
class CapacityTaken(ProviderUnavailable):
    """The deployment's provider would refuse just now.  Without a `wait`, it never fits."""

    code: str = "capacity_taken"


@dataclass(frozen=True, slots=True)
class Use:
    """What of a deployment's capacity is used, and how many wait for it."""

    minute_requests: int
    minute_tokens: int
    day_requests: int
    day_tokens: int
    running: int = 0  # where so many at once are a limit
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class Place:
    """A request's place in the queues of whatever deployments it waits for.

    `until` is when it gives up, in Unix ms; 0: it does not wait.
    """

    request_id: uuid.UUID
    tokens: int
    rank: int = 0
    since: int = 0
    until: int = 0


class Capacity:
    """The counters of all deployments.  One per process.

    `patience`: seconds that a request of each tier may wait for its turn; 0 where it has none.
    """

    def __init__(
        self,
        store: RedisStore,
        patience: Mapping[str, float] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._store = store
        self._patience = patience or {}
        self._clock = clock or Clock()
        self.in_flight: Counter[str] = Counter()
        """Requests of this process that run at each deployment now."""
        self._leased: defaultdict[str, set[str]] = defaultdict(set)
        self._background = Background()
        store.register(_SCRIPT, Path(__file__).with_name("capacity.lua"))

    def turns(self, reservation: Reservation) -> "Turns":
        """For the deployments that are tried for a request, one after another."""
        return Turns(self, reservation, self._patience.get(reservation.caller.limits.tier, 0.0))

    def now_ms(self) -> int:
        """The time that places in a queue are given by."""
        return self._clock.ms or int(time.time() * 1000)

    async def take(self, target: Target, place: Place) -> None:
        """Takes a request and its tokens; CapacityTaken, and then nothing is taken.

        Refused, a place that waits is in the deployment's queue, if its turn can come in time.
        """
        limits = target.capacity
        if limits is None:
            return
        of_limits = (NO_LIMIT if limit is None else limit for limit in limits)
        waiting = (place.rank, place.since, place.until)
        call = self._call(
            target.deployment, "take", str(place.request_id), place.tokens, *waiting, *of_limits
        )
        try:
            (wait_ms,) = await self._store.run(call)
        except QuotaUnavailable:
            return
        if wait_ms:
            wait = None if wait_ms == NEVER else wait_ms / 1000
            raise CapacityTaken("The provider's limit is reached.", wait=wait)
        if limits.at_once is not None:
            self._leased[target.deployment].add(str(place.request_id))

    def end(self, target: Target, request_id: uuid.UUID, tokens: int) -> None:
        """Counts what a request took in place of what was reserved, in the background."""
        self._leased[target.deployment].discard(str(request_id))
        call = self._call(target.deployment, "end", str(request_id), tokens)
        self._background.start(self._tell(call))

    def leave(self, target: Target, place: Place) -> None:
        """Gives up a place in the deployment's queue, in the background."""
        fields = (str(place.request_id), place.tokens, place.rank, place.since)
        self._background.start(self._tell(self._call(target.deployment, "leave", *fields)))

    async def renew(self) -> None:
        """Says that this process' requests still run: without it their leases end in 30 s."""
        calls = [
            self._call(deployment, "renew", *request_ids)
            for deployment, request_ids in self._leased.items()
            if request_ids
        ]
        if calls:
            with suppress(QuotaUnavailable):  # then nothing is counted either
                await self._store.run(*calls)

    async def finish(self) -> None:
        """Returns when what was ended has been counted."""
        await self._background.finish()

    async def used(self, deployment: str) -> Use:
        """What is used of it.  QuotaUnavailable."""
        (figures,) = await self._store.run(self._call(deployment, "peek"))
        return Use(*figures)

    async def _tell(self, call: Call) -> None:
        # Unheard, it stays counted as reserved for a minute and for the day, and as running or
        # waiting until its time is over.
        with suppress(QuotaUnavailable):
            await self._store.run(call)

    def _call(self, deployment: str, name: str, *arguments: str | int) -> Call:
        tag = f"{partition_tag('c', deployment.encode())}:capacity:{deployment}"
        keys = (f"{tag}:taken", tag, f"{tag}:running", f"{tag}:waiting")
        return Call(_SCRIPT, keys, (name, self._clock.ms, *arguments))


class Turns:
    """One request's turns at deployments: at most one of them has its capacity at a time."""

    def __init__(self, capacity: Capacity, reservation: Reservation, patience: float) -> None:
        self._capacity = capacity
        request = reservation.request
        # Where nothing limits the answer nobody can say its tokens: they count when it has ended.
        answer = (request.max_tokens or 0) * request.choices
        self._place = Place(
            reservation.request_id,
            reservation.prompt_bound + answer,
            rank=gates.priority(reservation.caller.limits.tier),
        )
        self._patience = patience
        self._holding: Target | None = None
        self._queued: dict[str, Target] = {}

    async def take(self, target: Target) -> None:
        """The next deployment's turn; the one before has failed.  CapacityTaken."""
        self._give_back(tokens=0)
        await self._capacity.take(target, self._place)
        self._queued.pop(target.deployment, None)
        self._leave_queues()
        self._capacity.in_flight[target.deployment] += 1
        self._holding = target

    async def wait(self, refusals: Mapping[Target, float | None]) -> bool:
        """Waits a moment for a turn at one of these, which told how long it takes to come.

        The first time it only takes its places in the queues, at the next look.  False, at once,
        where no turn comes before the request's patience ends.
        """
        seconds = min((wait for wait in refusals.values() if wait is not None), default=None)
        now, is_first = self._capacity.now_ms(), self._place.until == 0
        until = now + int(self._patience * 1000) if is_first else self._place.until
        if seconds is None or now + seconds * 1000 > until:
            return False
        if is_first:
            self._place = replace(self._place, since=now, until=until)
        self._queued |= {one.deployment: one for one in refusals}
        if not is_first:
            await asyncio.sleep(min(seconds, _LOOK_SECONDS))
        return True

    def end(self, *, tokens: int) -> None:
        """The last one's turn is over, and took so many tokens of its provider."""
        self._give_back(tokens=tokens)
        self._leave_queues()

    def _leave_queues(self) -> None:
        for target in self._queued.values():
            self._capacity.leave(target, self._place)
        self._queued.clear()

    def _give_back(self, *, tokens: int) -> None:
        target, self._holding = self._holding, None
        if target is None:
            return
        self._capacity.in_flight[target.deployment] -= 1
        if target.capacity is not None:
            self._capacity.end(target, self._place.request_id, tokens)
