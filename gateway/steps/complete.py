"""Step 4: the provider's answer.  Deployments are tried in order until one begins to answer."""

import datetime as dt
import math
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from gateway.capacity.counting import CapacityTaken, Turns
from gateway.errors import (
    GatewayError,
    ProviderFailure,
    ProvidersBusy,
    ProvidersExhausted,
    ProviderUnavailable,
    StreamCut,
)
from gateway.providers.client import Providers
from gateway.token_report import StreamReport
from gateway.types import Asked, Attempt, ChatRequest, EmbeddingRequest, Target


@dataclass(slots=True)
class Trail:
    """The attempts of one request, in order; whatever ends the request, they are recorded.

    `saw` hears of each by deployment what it came to, and whether that is how a stream ended that
    had begun.  `told` hears of those whose providers said to wait, and how many seconds.
    """

    saw: Callable[[str, str, bool], None]
    told: Callable[[str, float], None]
    attempts: list[Attempt] = field(default_factory=list)
    busy: dict[Target, float | None] = field(default_factory=dict)
    """Those whose capacity is taken, with the seconds until they may be asked; None: never."""
    resting: dict[Target, float] = field(default_factory=dict)
    """Those that were asked and said in how many seconds they may be asked again."""

    def add(self, target: Target, outcome: str, since: float) -> None:
        """Notes how an attempt that began at `since` (time.monotonic) went."""
        milliseconds = int((time.monotonic() - since) * 1000)
        self.attempts.append(Attempt(target.deployment, outcome, milliseconds))
        self.saw(target.deployment, outcome, False)

    def failed(self, target: Target, failure: ProviderFailure, since: float) -> None:
        """Notes an attempt after which another deployment can be tried."""
        self.add(target, failure.metadata.get("cause", failure.code), since)
        if failure.wait is not None:
            self.resting[target] = failure.wait
            self.told(target.deployment, failure.wait)

    def refused(self, target: Target, taken: CapacityTaken, since: float) -> None:
        """Notes that a deployment was not asked, since its capacity is taken; an attempt, once."""
        if not any(one.deployment == target.deployment for one in self.attempts):
            self.add(target, taken.code, since)
        self.busy[target] = taken.wait

    def ended(self, outcome: str, cause: str = "") -> tuple[Attempt, ...]:
        """All attempts, the last of which was a stream that ended so, by a provider's `cause`."""
        self.saw(self.attempts[-1].deployment, cause or outcome, True)
        return (*self.attempts[:-1], replace(self.attempts[-1], outcome=outcome))


@dataclass(frozen=True, slots=True)
class Completion:
    """A whole answer, or embeddings, and who gave it."""

    target: Target
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class OpenStream:
    """An answer that has begun: what came up to its first content, and the rest."""

    target: Target
    first: tuple[dict[str, Any], ...]
    first_token_at: dt.datetime
    rest: AsyncGenerator[dict[str, Any], None]


Answer = TypeVar("Answer", Completion, OpenStream)


async def complete(
    providers: Providers,
    turns: Turns,
    targets: tuple[Target, ...],
    request: Asked,
    trail: Trail,
) -> Completion:
    """The first answer that a target gives.  ProviderRejected, or ProvidersExhausted."""

    async def ask(target: Target) -> Completion:
        if isinstance(request, EmbeddingRequest):
            return Completion(target, await providers.embed(target, request))
        return Completion(target, await providers.complete(target, request))

    return await _first(turns, targets, request, trail, ask, "completed")


async def open_stream(
    providers: Providers,
    turns: Turns,
    targets: tuple[Target, ...],
    request: ChatRequest,
    trail: Trail,
) -> OpenStream:
    """The first stream that begins: until its first content another target can still be tried."""

    async def begin(target: Target) -> OpenStream:
        chunks = providers.stream(target, request)
        first = await _until_content(chunks)
        return OpenStream(target, first, dt.datetime.now(dt.UTC), chunks)

    return await _first(turns, targets, request, trail, begin, "streaming")


async def _first(
    turns: Turns,
    targets: tuple[Target, ...],
    request: Asked,
    trail: Trail,
    ask: Callable[[Target], Awaitable[Answer]],
    outcome: str,
) -> Answer:
    """What the first target gives that gives anything, noted as `outcome`; ProvidersExhausted."""
    async with aclosing(_in_turn(turns, targets, trail)) as in_turn:
        async for target, since in in_turn:
            try:
                answer = await ask(target)
            except (ProviderUnavailable, StreamCut) as failure:  # cut before it said anything
                trail.failed(target, failure, since)
            except BaseException as error:
                trail.add(target, _outcome_of(error), since)
                raise
            else:
                trail.add(target, outcome, since)
                return answer
    raise _exhausted(request, trail)


async def _in_turn(
    turns: Turns, targets: tuple[Target, ...], trail: Trail
) -> AsyncGenerator[tuple[Target, float], None]:
    """Each target, once its turn has come, and since when (time.monotonic) it is asked.

    Those that are busy are passed over; when nobody else is left, they are waited for.
    """
    left = targets
    while True:
        for target in left:
            since = time.monotonic()
            try:
                await turns.take(target)
            except CapacityTaken as taken:
                trail.refused(target, taken, since)
            else:
                trail.busy.pop(target, None)
                yield target, since
        left = tuple(target for target in left if target in trail.busy)
        if not left or not await turns.wait(trail.busy):
            return


async def _until_content(
    chunks: AsyncGenerator[dict[str, Any], None],
) -> tuple[dict[str, Any], ...]:
    """The chunks up to the first that says something, or all of a stream that says nothing.

    Whatever goes wrong, the chunks are closed.
    """
    report, first = StreamReport(), []
    try:
        async for chunk in chunks:
            first.append(chunk)
            if report.saw(chunk):
                break
    except BaseException:
        await chunks.aclose()
        raise
    if not any(chunk["choices"] for chunk in first):
        raise ProviderUnavailable("The provider's answer is empty.", code="provider_bad_response")
    return tuple(first)


def _outcome_of(error: BaseException) -> str:
    return error.code if isinstance(error, GatewayError) else "interrupted"


def _exhausted(request: Asked, trail: Trail) -> ProvidersExhausted:
    tried = ", ".join(f"{attempt.deployment} ({attempt.outcome})" for attempt in trail.attempts)
    metadata: dict[str, Any] = {
        "attempts": [f"{one.deployment}: {one.outcome}" for one in trail.attempts]
    }
    waits = {
        target.deployment: wait
        for target, wait in (trail.busy | trail.resting).items()
        if wait is not None
    }
    if waits.keys() == {one.deployment for one in trail.attempts}:  # none is ill
        seconds = math.ceil(min(waits.values()))
        busy = ProvidersExhausted if trail.resting else ProvidersBusy
        return busy(
            f"All that may be asked of {request.model}'s providers just now is asked. "
            f"Try again in {seconds} s. Nothing was charged.",
            metadata=metadata | {"retry_after_seconds": seconds},
        )
    return ProvidersExhausted(
        f"No provider could answer for {request.model} just now: {tried}. Nothing was charged.",
        metadata=metadata,
    )
