"""`POST /v1/messages` and `/v1/messages/count_tokens`: Anthropic's, over any model of ours."""

from typing import Any

from django.core.handlers.asgi import ASGIRequest
from django.http.response import HttpResponseBase

from gateway import pipeline, runtime
from gateway.api.anthropic.answers import message_of
from gateway.api.anthropic.asked import Asked, asked_by
from gateway.api.anthropic.events import MessageEvents
from gateway.api.anthropic.parsing import parse_messages, parse_prompt
from gateway.api.anthropic.translation import chat_request
from gateway.api.dialects import ANTHROPIC
from gateway.api.reply import response_of
from gateway.api.view import GatewayView, json_response
from gateway.sizing.families import UNKNOWN
from gateway.sizing.prompt import counted


class Messages(GatewayView):
    completes = True

    async def post(self, request: ASGIRequest) -> HttpResponseBase:
        """A message, whole or as server-sent events."""
        raw = request.read()
        body = parse_messages(raw)
        chat, shape = chat_request(body), AnthropicShape(asked_by(body))
        reply = await pipeline.run(runtime.current(), self.presented(request, body=raw), chat)
        return response_of(reply, shape)


class CountTokens(GatewayView):
    async def post(self, request: ASGIRequest) -> HttpResponseBase:
        """How many tokens a prompt is counted as.  Consumes nothing, at any quota."""
        caller, usage = await self.who_and_usage(request)
        chat = chat_request(parse_prompt(request.read()))
        gateway = runtime.current()
        row = gateway.catalogue.find(chat.model)
        families = row.families if row is not None and row.families else (UNKNOWN,)
        # Refused as in a completion: counting is free, and must stay cheap.
        size = await gateway.admission.size_of(chat, caller.limits)
        return json_response({"input_tokens": counted(size, families)}, usage, ANTHROPIC)


class AnthropicShape:
    """Answers as Anthropic's clients read them."""

    dialect = ANTHROPIC

    def __init__(self, asked: Asked) -> None:
        self._asked = asked

    def whole(self, body: dict[str, Any]) -> dict[str, Any]:
        """The `message`."""
        return message_of(body, self._asked)

    def encoding(self, request_id: str, prompt_tokens: int) -> MessageEvents:
        """The message's events."""
        return MessageEvents(request_id, prompt_tokens, self._asked)
