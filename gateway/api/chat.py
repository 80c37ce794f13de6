"""`POST /v1/chat/completions`: OpenAI's, for the unmodified SDKs."""

from django.core.handlers.asgi import ASGIRequest
from django.http.response import HttpResponseBase

from gateway import pipeline, runtime
from gateway.api.event_stream import EventStreamResponse
from gateway.api.parsing import parse_chat
from gateway.api.view import GatewayView, json_response
from gateway.steps.respond import limit_headers
from gateway.types import Reply, Reservation, StreamReply


class ChatCompletions(GatewayView):
    completes = True

    async def post(self, request: ASGIRequest) -> HttpResponseBase:
        """A chat completion, whole or as server-sent events."""
        chat = parse_chat(request.read())
        reply = await pipeline.run(runtime.current(), self.presented(request), chat)
        return chat_response(reply)


def chat_response(reply: Reply | StreamReply) -> HttpResponseBase:
    """The reply as OpenAI's endpoint gives it."""
    if isinstance(reply, Reply):
        response: HttpResponseBase = json_response(reply.body)
        usage = reply.usage
    else:
        response, usage = EventStreamResponse(reply), reply.reservation.usage
    headers = limit_headers(usage) | reply_headers(reply.reservation, reply.deployment)
    for name, value in headers.items():
        response[name] = value
    return response


def reply_headers(reservation: Reservation, deployment: str) -> dict[str, str]:
    """Who answered, and whether less could be afforded than was asked for."""
    headers = {"x-scalix-provider": deployment}
    if reservation.lowered_max_tokens is not None:
        headers["x-scalix-max-tokens"] = str(reservation.lowered_max_tokens)
    return headers
