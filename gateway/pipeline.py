"""The request path, on one screen: authenticate, admit, route, complete, settle, respond.

Each step takes frozen values and gives frozen values.  What is admitted is settled, exactly once,
whatever happens: an answer, a failure, a hang-up; and for a process that dies, by the sweeper.
"""

import asyncio
import datetime as dt
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any

from billing.metering.quota import QuotaRefused, QuotaUnavailable
from billing.metering.usage import Usage
from gateway.errors import GatewayError, ProviderUnavailable, StoreUnavailable
from gateway.steps import respond
from gateway.steps.admit import refusal
from gateway.steps.complete import OpenStream, Trail, complete, open_stream
from gateway.steps.route import route
from gateway.token_report import StreamReport
from gateway.types import Caller, ChatRequest, Outcome, Presented, Reply, Reservation, StreamReply

if TYPE_CHECKING:
    from gateway.runtime import Gateway


async def run(
    gateway: "Gateway", presented: Presented, request: ChatRequest
) -> Reply | StreamReply:
    """A request's answer, whole or arriving; a GatewayError, and then nothing was charged."""
    caller = await gateway.authenticator.authenticate(presented)
    try:
        reservation = await gateway.admission.admit(caller, request)
    except QuotaRefused as error:
        raise refusal(error, gateway.upgrade_url) from None
    trail = Trail()
    try:
        async with asyncio.timeout(_seconds_left(reservation)):
            targets = route(gateway.catalogue, reservation)
            if request.stream:
                opened = await open_stream(gateway.providers, targets, reservation.request, trail)
                chunks = _relayed(gateway, reservation, opened, trail)
                await anext(chunks)  # from here on, closing or forgetting it settles
                return StreamReply(reservation, opened.target.deployment, chunks)
            answer = await complete(gateway.providers, targets, reservation.request, trail)
    except BaseException as error:
        await gateway.settlement.settle(reservation, _undelivered(error, trail))
        if isinstance(error, TimeoutError):
            raise _too_slow() from error
        raise
    outcome = Outcome(
        status="settled",
        charged=True,
        attempts=tuple(trail.attempts),
        deployment=answer.target.deployment,
        tokens=answer.tokens,
    )
    usage = await gateway.settlement.settle(reservation, outcome)
    body = respond.completion(reservation, answer.body, answer.target.upstream_model, answer.tokens)
    return Reply(reservation, answer.target.deployment, usage, answer.tokens, body)


async def usage_of(gateway: "Gateway", presented: Presented) -> tuple[Caller, Usage]:
    """Who asks, and what they have used and have left.  Consumes nothing, at any quota."""
    caller = await gateway.authenticator.authenticate(presented)
    try:
        return caller, await gateway.quota.peek(caller.account_id, caller.limits)
    except QuotaUnavailable as error:
        raise StoreUnavailable("The counters are away just now.") from error


async def _relayed(
    gateway: "Gateway", reservation: Reservation, opened: OpenStream, trail: Trail
) -> AsyncGenerator[dict[str, Any], None]:
    """The stream's chunks, after one empty one.  It is settled before it ends, however it ends.

    The empty one is for `run`: a generator that was never advanced would be closed, or forgotten,
    without running anything, and so without settling.
    """
    report, delivered = StreamReport(), False
    for chunk in opened.first:
        report.saw(chunk)
    shape = respond.chunk_shaper(reservation, opened.target.upstream_model)
    failure: BaseException | None = None
    try:
        yield {}
        async with asyncio.timeout(_seconds_left(reservation)):
            for chunk in opened.first:
                delivered = True
                yield shape(chunk)
            async for chunk in opened.rest:
                report.saw(chunk)
                if chunk["choices"]:
                    yield shape(chunk)
    except TimeoutError as error:
        failure = error
        raise _too_slow() from error
    except BaseException as error:
        failure = error
        raise
    finally:
        await opened.rest.aclose()
        outcome = _streamed(reservation, opened, report, trail, failure, delivered=delivered)
        await gateway.settlement.settle(reservation, outcome)
    if reservation.request.include_usage:
        yield respond.usage_chunk(shape, outcome.tokens)


def _streamed(
    reservation: Reservation,
    opened: OpenStream,
    report: StreamReport,
    trail: Trail,
    failure: BaseException | None,
    *,
    delivered: bool,
) -> Outcome:
    """What a stream came to.  Cut by us or the provider: free.  Hung up on: what was said counts."""
    hung_up = isinstance(failure, asyncio.CancelledError | GeneratorExit)
    status = "settled" if failure is None else "cancelled" if hung_up else "failed"
    return Outcome(
        status=status,
        charged=failure is None or (hung_up and delivered),
        attempts=tuple(trail.attempts),
        deployment=opened.target.deployment,
        tokens=report.tokens(reservation.request),
        error_code="" if failure is None else _code_of(failure),
        first_token_at=opened.first_token_at,
    )


def _undelivered(error: BaseException, trail: Trail) -> Outcome:
    """The outcome of a request that gave its caller nothing: it leaves every counter as it was."""
    hung_up = isinstance(error, asyncio.CancelledError)
    return Outcome(
        status="cancelled" if hung_up else "failed",
        charged=False,
        attempts=tuple(trail.attempts),
        error_code=_code_of(error),
    )


def _code_of(error: BaseException) -> str:
    if isinstance(error, GatewayError):
        return error.code
    if isinstance(error, asyncio.CancelledError | GeneratorExit):
        return "client_disconnected"
    return "deadline_exceeded" if isinstance(error, TimeoutError) else "internal_error"


def _seconds_left(reservation: Reservation) -> float:
    return (reservation.deadline_at - dt.datetime.now(dt.UTC)).total_seconds()


def _too_slow() -> GatewayError:
    return ProviderUnavailable(
        "The answer took longer than a request may take. Nothing was charged.",
        code="deadline_exceeded",
    )
