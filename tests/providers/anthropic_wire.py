"""Anthropic's Messages, from its public documentation."""

import json
from typing import Any, Final

from aiohttp import web

from tests.providers.standin import Json, Say

_STOPS: Final = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tools": "tool_use",
    "filter": "refusal",
}
_ERRORS: Final = {
    "bad request": (400, "invalid_request_error", "stop_sequences: too many"),
    "account": (
        400,
        "invalid_request_error",
        "Your credit balance is too low to access the Anthropic API.",
    ),
    "key": (401, "authentication_error", "invalid x-api-key"),
    "forbidden": (403, "permission_error", "Your API key lacks the permission."),
    "missing": (404, "not_found_error", "model: none"),
    "rate": (429, "rate_limit_error", "Number of requests has exceeded your rate limit."),
    "server": (500, "api_error", "Internal server error"),
    "overloaded": (529, "overloaded_error", "Overloaded"),
}


class AnthropicWire:
    """How it writes."""

    provider = "anthropic"
    model = "claude-sonnet-5-5"
    path = ""

    def is_stream(self, request: web.Request, body: Json) -> bool:
        """By a field of the body."""
        return bool(body.get("stream"))

    def whole(self, say: Say) -> Json:
        """A message."""
        return self._message(say) | {
            "content": [block for block, _ in self._blocks(say)],
            "stop_reason": _STOPS[say.finish],
            "usage": self._usage(say) | {"output_tokens": say.completion_tokens},
        }

    def events(self, say: Say) -> list[bytes]:
        """A message's events, a ping among them."""
        start = self._message(say) | {"content": [], "stop_reason": None}
        start["usage"] = self._usage(say) | {"output_tokens": 1}
        events = [_event("message_start", message=start), _event("ping")]
        for index, (block, deltas) in enumerate(self._blocks(say)):
            events.append(_event("content_block_start", index=index, content_block=_emptied(block)))
            events += [_event("content_block_delta", index=index, delta=one) for one in deltas]
            events.append(_event("content_block_stop", index=index))
        delta = {"stop_reason": _STOPS[say.finish], "stop_sequence": None}
        usage = {"output_tokens": say.completion_tokens}
        events.append(_event("message_delta", delta=delta, usage=usage))
        return [*events, _event("message_stop")]

    def refusal(self, kind: str) -> tuple[int, Any]:
        """An error's status and body."""
        status, name, message = _ERRORS[kind]
        error = {"type": name, "message": message}
        return status, {"type": "error", "error": error, "request_id": "req_1"}

    def error_event(self) -> bytes:
        """An error in the middle of a stream."""
        return _event("error", error={"type": "overloaded_error", "message": "Overloaded"})

    def vectors(self, request: web.Request, body: Json) -> Json | None:
        """It has none."""
        return None

    def _message(self, say: Say) -> Json:
        return {"id": "msg_1", "type": "message", "role": "assistant", "model": self.model}

    def _usage(self, say: Say) -> Json:
        return {
            "input_tokens": say.prompt_tokens - say.cached_tokens,
            "cache_read_input_tokens": say.cached_tokens,
            "cache_creation_input_tokens": 0,
        }

    def _blocks(self, say: Say) -> list[tuple[Json, list[Json]]]:
        """Each block, whole and in deltas."""
        blocks: list[tuple[Json, list[Json]]] = []
        if say.reasoning:
            thinking = "".join(say.reasoning)
            deltas = [{"type": "thinking_delta", "thinking": one} for one in say.reasoning]
            signature = {"type": "signature_delta", "signature": "sig"}
            blocks.append(
                (
                    {"type": "thinking", "thinking": thinking, "signature": "sig"},
                    [*deltas, signature],
                )
            )
        if say.pieces:
            deltas = [{"type": "text_delta", "text": one} for one in say.pieces]
            blocks.append(({"type": "text", "text": say.text}, deltas))
        for call in say.calls:
            halves = (call.arguments[:4], call.arguments[4:])
            block = {"type": "tool_use", "id": call.id, "name": call.name}
            deltas = [{"type": "input_json_delta", "partial_json": half} for half in ("", *halves)]
            blocks.append((block | {"input": json.loads(call.arguments)}, deltas))
        return blocks


def _emptied(block: Json) -> Json:
    match block["type"]:
        case "tool_use":
            return block | {"input": {}}
        case "thinking":
            return block | {"thinking": "", "signature": ""}
    return block | {"text": ""}


def _event(kind: str, **fields: Any) -> bytes:
    data = json.dumps({"type": kind, **fields}, ensure_ascii=False)
    return f"event: {kind}\ndata: {data}\n\n".encode()
