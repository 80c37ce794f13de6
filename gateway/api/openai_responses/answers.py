"""A whole `response`, out of a `chat.completion`; and what streams have in common with it."""

from typing import Any, Final

import msgspec

from gateway.api.openai_responses.parsing import ResponsesBody
from gateway.api.said import reasoning_in, suffix_of, text_in
from gateway.token_report import reported
from gateway.types import TokenUsage

_INCOMPLETE: Final = {"length": "max_output_tokens", "content_filter": "content_filter"}


def response_of(body: dict[str, Any], asked: ResponsesBody) -> dict[str, Any]:
    """The `response`, of a `chat.completion` of one choice."""
    choice = body["choices"][0]
    said, answer_id = choice["message"], suffix_of(body["id"])
    output = list[dict[str, Any]]()
    if reasoning := reasoning_in(said):
        output.append(reasoning_item(answer_id, reasoning))
    parts = [text_part(text) for text in (text_in(said),) if text]
    parts += [refusal_part(text) for text in (said.get("refusal"),) if text]
    if parts:
        output.append(message_item(answer_id, parts))
    for place, call in enumerate(said.get("tool_calls") or ()):
        output.append(call_item(answer_id, place, call))
    response = frame(body, asked) | {"output": output}
    response |= ending(choice.get("finish_reason"))
    response["usage"] = usage_block(body["usage"])
    # What only we say: an upgrade prompt, if any.
    return response | ({"scalix": body["scalix"]} if "scalix" in body else {})


def frame(body: dict[str, Any], asked: ResponsesBody) -> dict[str, Any]:
    """A response that says nothing yet, with what was asked for."""
    text = asked.text or None
    return {
        "id": f"resp_{suffix_of(body['id'])}",
        "object": "response",
        "created_at": body["created"],
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "instructions": asked.instructions,
        "max_output_tokens": asked.max_output_tokens,
        "metadata": asked.metadata or {},
        "model": body["model"],
        "output": [],
        "parallel_tool_calls": asked.parallel_tool_calls is not False,
        "previous_response_id": None,
        "reasoning": {"effort": asked.reasoning and asked.reasoning.effort, "summary": None},
        "store": False,
        "temperature": asked.temperature,
        "text": msgspec.to_builtins(text) if text and text.format else {"format": {"type": "text"}},
        "tool_choice": msgspec.to_builtins(asked.tool_choice) or "auto",
        "tools": asked.tools or [],
        "top_p": asked.top_p,
        "truncation": "disabled",
        "usage": None,
        "user": asked.user,
    }


def ending(finish_reason: str | None) -> dict[str, Any]:
    """How it ended: whole, or cut short, and why."""
    if reason := _INCOMPLETE.get(finish_reason or ""):
        return {"status": "incomplete", "incomplete_details": {"reason": reason}}
    return {"status": "completed"}


def reasoning_item(answer_id: str, text: str = "") -> dict[str, Any]:
    """What was thought before the answer."""
    summary = [summary_part(text)] if text else []
    return {"id": f"rs_{answer_id}", "type": "reasoning", "summary": summary}


def summary_part(text: str) -> dict[str, Any]:
    return {"type": "summary_text", "text": text}


def message_item(
    answer_id: str, parts: list[dict[str, Any]], status: str = "completed"
) -> dict[str, Any]:
    """The answer's words."""
    return {
        "id": f"msg_{answer_id}",
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": parts,
    }


def text_part(text: str = "") -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def refusal_part(text: str = "") -> dict[str, Any]:
    return {"type": "refusal", "refusal": text}


def call_item(
    answer_id: str, place: int, call: dict[str, Any], status: str = "completed"
) -> dict[str, Any]:
    """A function to be called.  A call without an id is given one to answer to."""
    function = call.get("function") or {}
    return {
        "id": f"fc_{answer_id}_{place}",
        "type": "function_call",
        "status": status,
        "call_id": call.get("id") or f"call_{answer_id}_{place}",
        "name": function.get("name") or "",
        "arguments": function.get("arguments") or "",
    }


def usage_block(usage: dict[str, Any]) -> dict[str, Any]:
    """The Responses API's `usage`, out of chat completions'."""
    tokens = reported(usage) or TokenUsage(0, 0)
    details = usage.get("completion_tokens_details") or {}
    return {
        "input_tokens": tokens.prompt_tokens,
        "input_tokens_details": {"cached_tokens": tokens.cached_tokens},
        "output_tokens": tokens.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": details.get("reasoning_tokens") or 0},
        "total_tokens": tokens.total,
    }
