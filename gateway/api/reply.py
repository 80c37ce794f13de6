"""From what the pipeline gives to an HTTP response, in the form that an endpoint's clients read."""

import datetime as dt
from typing import Any, Protocol

from django.conf import settings
from django.http.response import HttpResponseBase

from gateway.api.dialects import Dialect
from gateway.api.event_stream import EventStreamResponse
from gateway.api.view import CACHE_HEADER, json_response
from gateway.idempotency.answers import Replay
from gateway.steps.respond import Encoding
from gateway.types import Reply, StreamReply


class Shape(Protocol):
    """The form of the answers to one request."""

    @property
    def dialect(self) -> Dialect:
        """The form of everything else."""

    def whole(self, body: dict[str, Any]) -> dict[str, Any]:
        """A whole answer, out of OpenAI's `chat.completion`."""

    def encoding(self, request_id: str, prompt_tokens: int) -> Encoding:
        """The events of a stream whose prompt was counted as so many tokens."""


def response_of(reply: Reply | StreamReply | Replay, shape: Shape) -> HttpResponseBase:
    """The reply in this shape, with the headers that say what is left and who answered."""
    if isinstance(reply, Replay):
        return _replayed(reply, shape)
    reservation = reply.reservation
    if isinstance(reply, Reply):
        response: HttpResponseBase = json_response(shape.whole(reply.body))
        usage = reply.usage
    else:
        response = EventStreamResponse(
            reply.chunks,
            encoding=shape.encoding(reservation.wire_id, reservation.prompt_tokens),
            deadline_at=reservation.deadline_at,
        )
        usage = reservation.usage
    headers = shape.dialect.limit_headers(usage)
    headers |= _reply_headers(reply.deployment, reservation.lowered_max_tokens)
    if reply.may_be_cached:
        headers[CACHE_HEADER] = "miss"
    return _with(headers, response)


def _reply_headers(deployment: str, lowered_max_tokens: int | None) -> dict[str, str]:
    """Who answered, and whether less could be afforded than was asked for."""
    headers = {"x-scalix-provider": deployment}
    if lowered_max_tokens is not None:
        headers["x-scalix-max-tokens"] = str(lowered_max_tokens)
    return headers


def _replayed(reply: Replay, shape: Shape) -> HttpResponseBase:
    """A stored answer: as it was, with what is left now, and the id of the request it was of."""
    longest = dt.timedelta(seconds=settings.GATEWAY_DEADLINE_SECONDS)
    if reply.body is not None:
        response: HttpResponseBase = json_response(shape.whole(reply.body))
    else:
        prompt_tokens = reply.last["usage"]["prompt_tokens"] if reply.last else 0
        response = EventStreamResponse(
            reply.chunks(),
            encoding=shape.encoding(reply.wire_id, prompt_tokens),
            deadline_at=dt.datetime.now(dt.UTC) + longest,
        )
    headers = shape.dialect.limit_headers(reply.usage)
    headers |= _reply_headers(reply.deployment, reply.lowered_max_tokens)
    headers["x-scalix-original-request-id"] = reply.wire_id
    if reply.cached_for is None:
        headers["idempotent-replayed"] = "true"
    else:
        headers |= {CACHE_HEADER: "hit", "age": str(reply.cached_for)}
    return _with(headers, response)


def _with(headers: dict[str, str], response: HttpResponseBase) -> HttpResponseBase:
    for name, value in headers.items():
        response[name] = value
    return response
