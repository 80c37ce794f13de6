"""`POST /v1/chat/completions`: OpenAI's, for the unmodified SDKs."""

from typing import Any, Final

import orjson
from django.core.handlers.asgi import ASGIRequest
from django.http.response import HttpResponseBase

from gateway import pipeline, runtime
from gateway.api.dialects import OPENAI
from gateway.api.parsing import parse_chat
from gateway.api.reply import response_of
from gateway.api.view import GatewayView
from gateway.errors import GatewayError

_DONE: Final = b"data: [DONE]\n\n"


class ChatCompletions(GatewayView):
    completes = True

    async def post(self, request: ASGIRequest) -> HttpResponseBase:
        """A chat completion, whole or as server-sent events."""
        raw = request.read()
        chat = parse_chat(raw)
        reply = await pipeline.run(runtime.current(), self.presented(request, body=raw), chat)
        return response_of(reply, OpenAIShape())


class OpenAIShape:
    """Answers as the pipeline gives them: they are OpenAI's already."""

    dialect = OPENAI

    def whole(self, body: dict[str, Any]) -> dict[str, Any]:
        """The `chat.completion`."""
        return body

    def encoding(self, request_id: str, prompt_tokens: int) -> "OpenAIEvents":  # noqa: ARG002
        """The `chat.completion.chunk`s as events."""
        return OpenAIEvents(request_id)


class OpenAIEvents:
    """A stream as OpenAI's clients read it: each chunk, and `[DONE]` behind the last."""

    keep_alive = b": keep-alive\n\n"  # a comment, which they pass over

    def __init__(self, request_id: str) -> None:
        self._request_id = request_id

    def chunk(self, chunk: dict[str, Any]) -> bytes:
        """The chunk as it is."""
        return b"data: " + orjson.dumps(chunk) + b"\n\n"

    def end(self) -> bytes:
        """That it is done."""
        return _DONE

    def error(self, error: GatewayError) -> bytes:
        """The error as a stream's last event."""
        return self.chunk(OPENAI.body_of(error, self._request_id))
