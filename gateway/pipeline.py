"""The request path, on one screen: authenticate, admit, route, complete, settle, respond.

Each step takes frozen values and gives frozen values.  What is admitted is settled, exactly once,
whatever happens: an answer, a failure, a hang-up; and for a process that dies, by the sweeper.
"""

import asyncio
import datetime as dt
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from billing.metering.quota import QuotaRequest
from billing.metering.usage import Usage
from gateway.answer_cache import Slot
from gateway.capacity.counting import Turns
from gateway.deadline import Deadline, ReaderTooSlow
from gateway.errors import GatewayError, ProviderUnavailable, StoreUnavailable, StreamCut
from gateway.idempotency.answers import Replay
from gateway.idempotency.once import Held
from gateway.steps import respond
from gateway.steps.complete import Completion, OpenStream, Trail, complete, open_stream
from gateway.token_report import CompletionReport, EmbeddingReport, StreamReport
from gateway.types import (
    Asked,
    Attempt,
    Caller,
    ChatRequest,
    EmbeddingRequest,
    Outcome,
    Presented,
    Reply,
    Reservation,
    StreamReply,
)
from gateway.what_is_left import what_is_left

if TYPE_CHECKING:
    from gateway.runtime import Gateway


async def run(
    gateway: "Gateway", presented: Presented, request: Asked
) -> Reply | StreamReply | Replay:
    """A request's answer, whole or arriving; a GatewayError, and then nothing was charged."""
    try:
        caller = await _caller(gateway, presented)
    except GatewayError as error:
        gateway.refused(presented, error, None, request.model)
        raise
    key = presented.idempotency_key
    if key is None:
        return await _answer(gateway, presented, caller, request)
    work = partial(_answer, gateway, presented, caller, request)
    return await gateway.once.answer(caller, key, presented.request_id, work)


async def _answer(
    gateway: "Gateway",
    presented: Presented,
    caller: Caller,
    request: Asked,
    held: Held | None = None,
) -> Reply | StreamReply | Replay:
    """The answer of a request that runs; `held` is the idempotency key that it runs for."""
    try:
        await gateway.guard.check(caller, request)
        model = gateway.admission.model_for(caller, request.model, request.kind).entry
        keeper = held or gateway.cache.slot(caller, presented, request, model)
        if isinstance(keeper, Slot) and (kept := await keeper.find()):
            return kept
        reservation = await gateway.admission.admit(caller, request, presented.request_id)
    except GatewayError as error:
        gateway.guard.explain(error, caller)
        gateway.refused(presented, error, caller, request.model)
        raise
    gateway.settlement.expect(reservation)
    trail = Trail(partial(gateway.saw, reservation), gateway.rests.told)
    turns = gateway.capacity.turns(reservation)
    try:
        async with asyncio.timeout(_seconds_left(reservation)):
            if held is not None:
                held.require()
            gateway.guard.admitted(reservation)
            await gateway.authenticator.remember(caller, presented)
            targets = gateway.router.route(reservation)
            asked = reservation.request
            if isinstance(asked, ChatRequest) and asked.stream:
                opened = await open_stream(gateway.providers, turns, targets, asked, trail)
                chunks = _relayed(gateway, presented, reservation, opened, trail, turns, keeper)
                await anext(chunks)  # from here on, closing or forgetting it settles
                return StreamReply(
                    reservation, opened.target.deployment, chunks, isinstance(keeper, Slot)
                )
            answer = await complete(gateway.providers, turns, targets, asked, trail)
            outcome = _answered(reservation, answer, trail)
            body = _said(reservation, answer, outcome)
    except BaseException as error:
        turns.end(tokens=0)
        await _settle_failure(gateway, reservation, _undelivered(presented, error, trail))
        if isinstance(error, TimeoutError):
            raise _too_slow() from error
        raise
    turns.end(tokens=outcome.tokens.total)
    keep = None if keeper is None else keeper.whole(reservation, body)
    usage = await gateway.settlement.settle(reservation, outcome, keep)
    if keeper is not None:
        keeper.settled(outcome)
    if outcome.charged:
        prompt = await gateway.upgrades.beside(reservation, usage, presented.channel)
        body = respond.with_prompt(body, prompt)
    may_be_cached = isinstance(keeper, Slot)
    return Reply(reservation, answer.target.deployment, usage, outcome.tokens, body, may_be_cached)


async def check(
    gateway: "Gateway", presented: Presented, request: Asked
) -> tuple[Caller, QuotaRequest]:
    """Whether the request would be admitted now, and as what; the GatewayError if not.

    Nothing is booked or written, and nobody becomes a visitor.
    """
    caller = await _caller(gateway, presented)
    await gateway.guard.check(caller, request)
    return caller, await gateway.admission.check(caller, request)


async def usage_of(gateway: "Gateway", presented: Presented) -> tuple[Caller, Usage]:
    """Who asks, and what they have used and have left.  Consumes nothing, at any quota."""
    caller = await _caller(gateway, presented)
    return caller, await what_is_left(gateway.quota, caller)


async def _caller(gateway: "Gateway", presented: Presented) -> Caller:
    """Who asks, with the limits that are left to them."""
    return gateway.guard.judged(await gateway.authenticator.authenticate(presented))


async def _relayed(
    gateway: "Gateway",
    presented: Presented,
    reservation: Reservation,
    opened: OpenStream,
    trail: Trail,
    turns: Turns,
    keeper: Held | Slot | None,
) -> AsyncGenerator[dict[str, Any], None]:
    """The stream's chunks, after one empty one.  It is settled before it ends, however it ends.

    The empty one is for `run`: a generator that was never advanced would be closed, or forgotten,
    without running anything, and so without settling.
    """
    report = StreamReport()
    shape = respond.chunk_shaper(reservation, opened.target.upstream_model)
    relay = shape if keeper is None else keeper.recording(shape)
    try:
        async with aclosing(opened.rest):
            yield {}
            with Deadline(_seconds_left(reservation)) as deadline:
                for chunk in opened.first:
                    report.saw(chunk)
                    if chunk["choices"]:
                        yield relay(chunk)
                while (more := await deadline.next_of(opened.rest)) is not None:
                    report.saw(more)
                    if more["choices"]:
                        yield relay(more)
    except BaseException as error:
        status, code = _end_by(error, presented)
        outcome = replace(
            _streamed(reservation, opened, report, trail.ended(code, _cause_of(error))),
            status=status,
            # Cut off by us or the provider, it is free. Hung up on, or read too slowly, what was
            # said counts.
            charged=status == "cancelled" and report.says_something,
            error_code=code,
        )
        turns.end(tokens=outcome.tokens.total)
        await _settle_failure(gateway, reservation, outcome)
        if told := _told_of(error, outcome):
            raise told from error
        raise
    outcome = _streamed(reservation, opened, report, trail.ended("completed"))
    turns.end(tokens=outcome.tokens.total)
    last = None
    if reservation.request.include_usage:
        last = respond.usage_chunk(shape, outcome.tokens)
    keep = None if keeper is None else keeper.streamed(reservation, last)
    await gateway.settlement.settle(reservation, outcome, keep)
    if keeper is not None:
        keeper.settled(outcome)
    if last is not None:
        yield last


async def _settle_failure(gateway: "Gateway", reservation: Reservation, outcome: Outcome) -> None:
    """Settles what went wrong, which the caller hears of even if a store is away as well."""
    with suppress(StoreUnavailable):  # the ending is owed
        await gateway.settlement.settle(reservation, outcome)


def _answered(reservation: Reservation, answer: Completion, trail: Trail) -> Outcome:
    """What a whole answer came to; one that says nothing is free."""
    embeds = isinstance(reservation.request, EmbeddingRequest)
    report = EmbeddingReport(answer.body) if embeds else CompletionReport(answer.body)
    return Outcome(
        status="settled",
        charged=report.says_something,
        attempts=tuple(trail.attempts),
        deployment=answer.target.deployment,
        tokens=report.tokens(reservation.prompt_tokens),
        model=answer.target.model,
    )


def _said(reservation: Reservation, answer: Completion, outcome: Outcome) -> dict[str, Any]:
    """A whole answer as the caller gets it."""
    model = answer.target.upstream_model
    if isinstance(reservation.request, EmbeddingRequest):
        return respond.embeddings(answer.body, model, outcome.tokens)
    return respond.completion(reservation, answer.body, model, outcome.tokens)


def _streamed(
    reservation: Reservation,
    opened: OpenStream,
    report: StreamReport,
    attempts: tuple[Attempt, ...],
) -> Outcome:
    """What a stream came to that ended well."""
    return Outcome(
        status="settled",
        charged=report.says_something,
        attempts=attempts,
        deployment=opened.target.deployment,
        tokens=report.tokens(reservation.prompt_tokens),
        first_token_at=opened.first_token_at,
        model=opened.target.model,
    )


def _undelivered(presented: Presented, error: BaseException, trail: Trail) -> Outcome:
    """The outcome of a request that gave its caller nothing: it leaves every counter as it was."""
    status, code = _end_by(error, presented)
    return Outcome(status, charged=False, attempts=tuple(trail.attempts), error_code=code)


def _cause_of(error: BaseException) -> str:
    """What the provider did, if a stream was cut by it."""
    return error.metadata.get("cause", "") if isinstance(error, StreamCut) else ""


def _end_by(error: BaseException, presented: Presented) -> tuple[str, str]:
    """The status and the error code of a request that this error ends."""
    if isinstance(error, GatewayError):
        return "failed", error.code
    if isinstance(error, TimeoutError):
        return "failed", "deadline_exceeded"
    if isinstance(error, asyncio.CancelledError) and not presented.is_gone():
        return "failed", "server_stopping"
    if isinstance(error, ReaderTooSlow):
        return "cancelled", "deadline_exceeded"
    hung_up = isinstance(error, asyncio.CancelledError | GeneratorExit)
    return ("cancelled", "client_disconnected") if hung_up else ("failed", "internal_error")


def _seconds_left(reservation: Reservation) -> float:
    return (reservation.deadline_at - dt.datetime.now(dt.UTC)).total_seconds()


def _told_of(error: BaseException, outcome: Outcome) -> GatewayError | None:
    """What the reader of a stream is told in place of this error, if anything."""
    if isinstance(error, TimeoutError):
        return _too_slow()
    return _read_too_slowly(outcome) if isinstance(error, ReaderTooSlow) else None


def _too_slow() -> GatewayError:
    return ProviderUnavailable(
        "The answer took longer than a request may take. Nothing was charged.",
        code="deadline_exceeded",
        metadata={"tokens_charged": 0, "refunded": True},
    )


def _read_too_slowly(outcome: Outcome) -> GatewayError:
    return ProviderUnavailable(
        "The answer was not read within the time that a request may take. What was sent counts.",
        code="deadline_exceeded",
        metadata={
            "tokens_charged": outcome.tokens.total if outcome.charged else 0,
            "refunded": not outcome.charged,
        },
    )
