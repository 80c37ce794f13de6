"""The JSON that the double says, in OpenAI's shapes."""

from collections.abc import Iterable
from typing import Any

import orjson

# One instant for every answer: the double says the same thing each time it's asked.
CREATED = 1_760_000_000
TOOL_INPUT = '{"city": "Zürich", "days": 2}'
"""What a tool is called with; a stream gives it in pieces."""


def completion(
    *,
    sequence: int,
    model: str,
    content: str,
    choices: int,
    finish: str,
    usage: dict[str, int],
    tool: str = "",
) -> dict[str, Any]:
    """A `chat.completion` whose choices all say the same, or call the same tool."""
    message: dict[str, Any] = {"role": "assistant", "content": content, "refusal": None}
    if tool:
        message |= {"content": None, "tool_calls": [tool_call(tool, TOOL_INPUT)]}
    return {
        "id": f"chatcmpl-{sequence}",
        "object": "chat.completion",
        "created": CREATED,
        "model": model,
        "choices": [
            {
                "index": index,
                "message": message,
                "logprobs": None,
                "finish_reason": finish,
            }
            for index in range(choices)
        ],
        "usage": usage,
    }


def tool_call(name: str, arguments: str) -> dict[str, Any]:
    """A call of a tool."""
    function = {"name": name, "arguments": arguments}
    return {"id": "call_1", "type": "function", "function": function}


def tool_deltas(name: str) -> Iterable[dict[str, Any]]:
    """The deltas of the same call in a stream, seven characters of its input at a time."""
    yield {"tool_calls": [tool_call(name, "") | {"index": 0}]}
    for start in range(0, len(TOOL_INPUT), 7):
        piece = {"arguments": TOOL_INPUT[start : start + 7]}
        yield {"tool_calls": [{"index": 0, "function": piece}]}


def usage(prompt: int, completion: int) -> dict[str, int]:
    """The usage block of both kinds of answer."""
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


def event(payload: dict[str, Any]) -> bytes:
    """The payload as one server-sent event."""
    return b"data: " + orjson.dumps(payload) + b"\n\n"


class ChunkWriter:
    """The events of one stream: same id and model on each, `usage: null` if usage was asked for."""

    def __init__(self, *, sequence: int, model: str, choices: int, include_usage: bool) -> None:
        self._base: dict[str, Any] = {
            "id": f"chatcmpl-{sequence}",
            "object": "chat.completion.chunk",
            "created": CREATED,
            "model": model,
        }
        self._null_usage: dict[str, None] = {"usage": None} if include_usage else {}
        self._choices = range(choices)

    def delta(self, delta: dict[str, Any], finish: str | None = None) -> bytes:
        """One event for each choice, with the same delta."""
        return b"".join(
            event(
                {
                    **self._base,
                    "choices": [
                        {
                            "index": index,
                            "delta": delta,
                            "logprobs": None,
                            "finish_reason": finish,
                        }
                    ],
                    **self._null_usage,
                }
            )
            for index in self._choices
        )

    def totals(self, usage: dict[str, int]) -> bytes:
        """The event after the last delta: no choices, only the usage."""
        return event({**self._base, "choices": [], "usage": usage})


def error(status: int, message: str) -> dict[str, Any]:
    """An error body as OpenAI words it."""
    kinds = {
        400: ("invalid_request_error", None),
        401: ("invalid_request_error", "invalid_api_key"),
        404: ("invalid_request_error", "model_not_found"),
        429: ("requests", "rate_limit_exceeded"),
    }
    kind, code = kinds.get(status, ("server_error", None))
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def model_list(names: Iterable[str]) -> dict[str, Any]:
    """The body of GET /v1/models."""
    return {"object": "list", "data": [model(name) for name in names]}


def model(name: str) -> dict[str, Any]:
    """One model's entry."""
    return {"id": name, "object": "model", "created": CREATED, "owned_by": "double"}
