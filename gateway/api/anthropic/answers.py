"""A whole answer in Anthropic's shape, out of OpenAI's; and what streams have in common with it."""

from typing import Any, Final

import orjson

from gateway.api.anthropic.asked import Asked
from gateway.api.said import reasoning_in, suffix_of, text_in
from gateway.token_report import reported
from gateway.types import TokenUsage

_STOP_REASONS: Final = {
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}


def message_of(body: dict[str, Any], asked: Asked) -> dict[str, Any]:
    """Anthropic's `message`, out of a `chat.completion` of one choice."""
    choice = body["choices"][0]
    said = choice["message"]
    content = []
    if asked.shows_thinking and (reasoning := reasoning_in(said)):
        content.append(thinking_block(reasoning))
    content += [text_block(text) for text in (text_in(said), said.get("refusal")) if text]
    calls = said.get("tool_calls") or ()
    content += [_tool_use(call, place, body["id"]) for place, call in enumerate(calls)]
    message = frame(body) | {"content": content}
    message |= stop_of(choice, asked, calls=bool(calls), refuses=bool(said.get("refusal")))
    message["usage"] = usage_block(reported(body["usage"]) or TokenUsage(0, 0))
    # What only we say: an upgrade prompt, if any.
    return message | ({"scalix": body["scalix"]} if "scalix" in body else {})


def frame(body: dict[str, Any]) -> dict[str, Any]:
    """A message that says nothing yet, of the id and the model of an OpenAI answer or chunk."""
    return {
        "id": f"msg_{suffix_of(body['id'])}",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }


def text_block(text: str = "") -> dict[str, Any]:
    """A block of text."""
    return {"type": "text", "text": text}


def thinking_block(reasoning: str = "") -> dict[str, Any]:
    """A block of reasoning.  Nobody signed it; it comes back, and is dropped, without."""
    return {"type": "thinking", "thinking": reasoning, "signature": ""}


def tool_use_block(call: dict[str, Any], place: int, answer_id: str) -> dict[str, Any]:
    """The block of a call, with no input yet.  A call without an id is given one to answer to."""
    return {
        "type": "tool_use",
        "id": call.get("id") or f"toolu_{suffix_of(answer_id)}_{place}",
        "name": call.get("function", {}).get("name") or "",
        "input": {},
    }


def stop_of(
    choice: dict[str, Any], asked: Asked, *, calls: bool, refuses: bool
) -> dict[str, str | None]:
    """Why it ended.

    OpenAI does not tell a stop sequence from an end; some servers name it beside, in `stop_reason`.
    """
    if refuses:
        return _stop("refusal")
    reason = _STOP_REASONS.get(choice.get("finish_reason") or "")
    if reason is not None:
        return _stop(reason)
    if calls:  # some end calls with "stop"
        return _stop("tool_use")
    sequence = choice.get("stop_reason")
    if sequence in asked.stop_sequences:
        return _stop("stop_sequence", sequence)
    return _stop("end_turn")


def usage_block(tokens: TokenUsage) -> dict[str, int]:
    """Anthropic's `usage`, whose input is what was not read from a cache."""
    return {
        "input_tokens": max(0, tokens.prompt_tokens - tokens.cached_tokens),
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": tokens.cached_tokens,
        "output_tokens": tokens.completion_tokens,
    }


def _stop(reason: str, sequence: str | None = None) -> dict[str, str | None]:
    return {"stop_reason": reason, "stop_sequence": sequence}


def _tool_use(call: dict[str, Any], place: int, answer_id: str) -> dict[str, Any]:
    arguments = call.get("function", {}).get("arguments")
    return tool_use_block(call, place, answer_id) | {"input": _input_of(arguments or "{}")}


def _input_of(arguments: str) -> dict[str, Any]:
    """The object that a model wrote; what is none is wrapped as Anthropic's documentation says."""
    try:
        value = orjson.loads(arguments)
    except orjson.JSONDecodeError:
        value = None
    return value if isinstance(value, dict) else {"INVALID_JSON": arguments}
