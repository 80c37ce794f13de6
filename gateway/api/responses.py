"""`POST /v1/responses`: OpenAI's Responses, stateless, over any model of ours."""

from typing import Any

from django.core.handlers.asgi import ASGIRequest
from django.http.response import HttpResponseBase

from gateway import pipeline, runtime
from gateway.api.dialects import OPENAI
from gateway.api.openai_responses.answers import response_of as responses_body
from gateway.api.openai_responses.events import ResponseEvents
from gateway.api.openai_responses.parsing import ResponsesBody, parse_responses
from gateway.api.openai_responses.translation import chat_request
from gateway.api.reply import response_of
from gateway.api.view import GatewayView


class Responses(GatewayView):
    completes = True

    async def post(self, request: ASGIRequest) -> HttpResponseBase:
        """A response, whole or as server-sent events."""
        raw = request.read()
        body = parse_responses(raw)
        chat = chat_request(body)
        reply = await pipeline.run(runtime.current(), self.presented(request, body=raw), chat)
        return response_of(reply, ResponsesShape(body))


class ResponsesShape:
    """Answers as the Responses API's clients read them."""

    dialect = OPENAI

    def __init__(self, asked: ResponsesBody) -> None:
        self._asked = asked

    def whole(self, body: dict[str, Any]) -> dict[str, Any]:
        """The `response`."""
        return responses_body(body, self._asked)

    def encoding(self, request_id: str, prompt_tokens: int) -> ResponseEvents:  # noqa: ARG002
        """The response's events."""
        return ResponseEvents(request_id, self._asked)
