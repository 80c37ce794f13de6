"""`POST /v1/chat/completions`: OpenAI's, for the unmodified SDKs."""

import datetime as dt

from django.conf import settings
from django.core.handlers.asgi import ASGIRequest
from django.http.response import HttpResponseBase

from gateway import pipeline, runtime
from gateway.api.event_stream import EventStreamResponse
from gateway.api.parsing import parse_chat
from gateway.api.view import GatewayView, json_response
from gateway.idempotency.answers import Replay
from gateway.steps.respond import limit_headers
from gateway.types import Reply, StreamReply


class ChatCompletions(GatewayView):
    completes = True

    async def post(self, request: ASGIRequest) -> HttpResponseBase:
        """A chat completion, whole or as server-sent events."""
        raw = request.read()
        chat = parse_chat(raw)
        reply = await pipeline.run(runtime.current(), self.presented(request, body=raw), chat)
        return chat_response(reply)


def chat_response(reply: Reply | StreamReply | Replay) -> HttpResponseBase:
    """The reply as OpenAI's endpoint gives it."""
    if isinstance(reply, Replay):
        return _replayed(reply)
    reservation = reply.reservation
    if isinstance(reply, Reply):
        response: HttpResponseBase = json_response(reply.body)
        usage = reply.usage
    else:
        response = EventStreamResponse(
            reply.chunks, request_id=reservation.wire_id, deadline_at=reservation.deadline_at
        )
        usage = reservation.usage
    headers = limit_headers(usage) | reply_headers(reply.deployment, reservation.lowered_max_tokens)
    return _with(headers, response)


def reply_headers(deployment: str, lowered_max_tokens: int | None) -> dict[str, str]:
    """Who answered, and whether less could be afforded than was asked for."""
    headers = {"x-scalix-provider": deployment}
    if lowered_max_tokens is not None:
        headers["x-scalix-max-tokens"] = str(lowered_max_tokens)
    return headers


def _replayed(reply: Replay) -> HttpResponseBase:
    """A stored answer: as it was, with what is left now, and the id of the request it was of."""
    longest = dt.timedelta(seconds=settings.GATEWAY_DEADLINE_SECONDS)
    if reply.body is not None:
        response: HttpResponseBase = json_response(reply.body)
    else:
        response = EventStreamResponse(
            reply.chunks(),
            request_id=reply.wire_id,
            deadline_at=dt.datetime.now(dt.UTC) + longest,
        )
    headers = limit_headers(reply.usage)
    headers |= reply_headers(reply.deployment, reply.lowered_max_tokens)
    headers |= {"idempotent-replayed": "true", "x-scalix-original-request-id": reply.wire_id}
    return _with(headers, response)


def _with(headers: dict[str, str], response: HttpResponseBase) -> HttpResponseBase:
    for name, value in headers.items():
        response[name] = value
    return response
