"""`POST /v1/messages` and `/v1/messages/count_tokens`: Anthropic's, over any model of ours."""

import asyncio
from typing import Any

from django.core.handlers.asgi import ASGIRequest
from django.http.response import HttpResponseBase

from billing import gates
from billing.plans import Limits
from gateway import pipeline, runtime
from gateway.api.anthropic.answers import message_of
from gateway.api.anthropic.asked import Asked, asked_by
from gateway.api.anthropic.events import MessageEvents
from gateway.api.anthropic.parsing import parse_messages, parse_prompt
from gateway.api.anthropic.translation import chat_request
from gateway.api.dialects import ANTHROPIC
from gateway.api.reply import response_of
from gateway.api.view import GatewayView, json_response
from gateway.errors import InvalidRequest
from gateway.sizing.families import UNKNOWN
from gateway.sizing.prompt import counted, measure
from gateway.types import ChatRequest


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
        _require_countable(chat, caller.limits)
        row = runtime.current().catalogue.find(chat.model)
        families = row.families if row is not None and row.families else (UNKNOWN,)
        # In a thread: a long prompt takes a second.
        size = await asyncio.to_thread(measure, chat)
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


def _require_countable(chat: ChatRequest, limits: Limits) -> None:
    """Refuses what the plan does not take anyway: counting is free, and must stay cheap."""
    characters = sum(map(len, chat.prompt_texts()))
    if not gates.takes_prompt(limits, characters):
        most = limits.prompt_characters
        raise InvalidRequest(
            f"The prompt has {characters:,} characters; the {limits.title.lower()} plan takes "
            f"{most:,}.",
            code="prompt_too_long",
            param="messages",
            metadata={"characters": characters, "max": most},
        )
