"""The table: what each official SDK is to make of each provider's answers, and of its errors."""

import json
from dataclasses import dataclass, field
from typing import Any, Final

from tests.conformance.sdk import Sdk
from tests.providers.anthropic_wire import AnthropicWire
from tests.providers.cases import PARIS, PNG, SCHEMA, WEATHER
from tests.providers.gemini_wire import GeminiWire
from tests.providers.openai_dialects import DIALECTS
from tests.providers.standin import Misbehave, Refuse, Say, Script, Wire

PROVIDERS: Final[dict[str, Wire]] = {
    "anthropic": AnthropicWire(),
    "gemini": GeminiWire(),
    **{dialect.name: dialect for dialect in DIALECTS},
}
SDKS: Final = (
    *("openai-1", "openai-2", "openai-3", "node-openai-4", "node-openai-6", "node-openai-7"),
    *("anthropic-0.72", "anthropic-2", "node-anthropic-1"),
)
SECONDS: Final = 20.0
"""How long any row may take: less than an SDK that waits as our Retry-After says, with room for a
busy machine.  Whether one tried again, the number of its requests says."""

OVERLOADED: Final = {"status": 503, "code": "server_is_overloaded", "http_requests": 1}
_TOOL: Final[Any] = WEATHER["function"]
_IMAGE: Final = {"type": "base64", "media_type": "image/png", "data": PNG.partition(",")[2]}


@dataclass(frozen=True, slots=True)
class Row:
    """What the provider does, what is asked by OpenAI's SDK and by Anthropic's, and what is seen.

    No fields of an SDK's: it has no such thing.
    """

    script: Script
    seen: dict[str, Any]
    action: str = "complete"
    openai: dict[str, Any] | None = field(default_factory=dict)
    anthropic: dict[str, Any] | None = field(default_factory=dict)
    reached: str = ""  # must be in what the provider was sent
    classes: tuple[str, ...] = ()  # of the error that is raised


def _content(first: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [{"type": "text", "text": "What?"}, first]}]}


_HELLO: Final = {"text": "Hello there", "finish": "stop", "tokens": (7, 3), "http_requests": 1}
_CALLED: Final = _HELLO | {"text": "", "finish": "tools", "calls": [("weather", PARIS.arguments)]}
_CALLING: Final = Say(pieces=(), calls=(PARIS,), finish="tools")
_TOOLS: Final[dict[str, dict[str, Any]]] = {
    "openai": {"tools": [WEATHER]},
    "anthropic": {
        "tools": [{"name": "weather", "input_schema": _TOOL["parameters"]}],
    },
}
_USAGE: Final[dict[str, Any]] = {"stream_options": {"include_usage": True}}
# Newer SDKs have a class for each status above 500.
_SERVER: Final = ("InternalServerError", "ServiceUnavailableError")

ROWS: Final = {
    "plain": Row(Say(), _HELLO),
    "stream": Row(Say(), _HELLO, "stream", _USAGE),
    "tool": Row(
        _CALLING,
        _CALLED,
        openai=_TOOLS["openai"],
        anthropic=_TOOLS["anthropic"],
        reached='"weather"',
    ),
    "tool stream": Row(_CALLING, _CALLED, "stream", _USAGE | _TOOLS["openai"], _TOOLS["anthropic"]),
    "tool's result": Row(
        Say(),
        _HELLO,
        openai=_TOOLS["openai"]
        | {
            "messages": [
                {"role": "user", "content": "How is it in Paris?"},
                {
                    "role": "assistant",
                    "tool_calls": [
                        {
                            "id": "call_1",
                            "type": "function",
                            "function": {"name": "weather", "arguments": PARIS.arguments},
                        }
                    ],
                },
                {"role": "tool", "tool_call_id": "call_1", "content": "Rain"},
            ]
        },
        anthropic=_TOOLS["anthropic"]
        | {
            "messages": [
                {"role": "user", "content": "How is it in Paris?"},
                {
                    "role": "assistant",
                    "content": [
                        {
                            "type": "tool_use",
                            "id": "call_1",
                            "name": "weather",
                            "input": json.loads(PARIS.arguments),
                        }
                    ],
                },
                {
                    "role": "user",
                    "content": [
                        {"type": "tool_result", "tool_use_id": "call_1", "content": "Rain"}
                    ],
                },
            ]
        },
        reached="Rain",
    ),
    "image": Row(
        Say(),
        _HELLO,
        openai=_content({"type": "image_url", "image_url": {"url": PNG}}),
        anthropic=_content({"type": "image", "source": _IMAGE}),
    ),
    "stop": Row(
        Say(),
        _HELLO,
        openai={"stop": ["END"]},
        anthropic={"stop_sequences": ["END"]},
        reached="END",
    ),
    "length": Row(Say(finish="length"), _HELLO | {"finish": "length"}),
    "reasoning": Row(
        Say(reasoning=("Let me ", "think.")),
        _HELLO | {"reasoning": "Let me think."},
        anthropic=None,
    ),
    "reasoning stream": Row(
        Say(reasoning=("Let me ", "think.")),
        _HELLO | {"reasoning": "Let me think."},
        "stream",
        _USAGE,
        None,
    ),
    "schema": Row(
        Say(pieces=('{"name":', '"Po"}')),
        {"parsed": {"name": "Po"}, "http_requests": 1},
        "parse",
        {"response_format": SCHEMA},
        None,
    ),
    "rate limited": Row(Refuse("rate"), OVERLOADED, classes=_SERVER),
    "provider fails": Row(Refuse("server"), OVERLOADED, classes=_SERVER),
    "key refused": Row(Refuse("key"), OVERLOADED, classes=_SERVER),
    "caller's fault": Row(
        Refuse("bad request"),
        {"status": 400, "code": "invalid_request", "http_requests": 1},
        classes=("BadRequestError",),
    ),
    "rubbish": Row(Misbehave("rubbish"), OVERLOADED, classes=_SERVER),
    "stream cut": Row(
        Misbehave("cut after"),
        {"code": "stream_cut", "http_requests": 1},
        "stream",
        classes=("APIError", "APIStatusError", "InternalServerError"),
    ),
}


def ask(sdk: Sdk, version: str, row: Row, model: str, **where: str) -> dict[str, Any] | None:
    """What the SDK's user sees of this row; None where it has no such thing."""
    by_anthropic = "anthropic" in version
    fields = row.anthropic if by_anthropic else row.openai
    if fields is None:
        return None
    messages = [{"role": "user", "content": "Hello"}]
    request = {"model": model, "max_tokens": 50, "messages": messages, **fields}
    if row.action == "parse" and not version.startswith("node-"):
        del request["response_format"]  # it makes its own
    answer = sdk.do(row.action, request=request, **where)
    seen = _seen(answer, by_anthropic=by_anthropic)
    return seen | {"http_requests": answer["http_requests"], "seconds": answer["seconds"]}


def _seen(answer: dict[str, Any], *, by_anthropic: bool) -> dict[str, Any]:
    if error := answer.get("error") or answer.get("broke"):
        body = error["body"] or {}
        code = error["code"] or (body.get("error") or {}).get("code")
        return {"class": error["class"], "status": error["status_code"], "code": code}
    if "parsed" in answer:
        return {"parsed": answer["parsed"]}
    if by_anthropic:
        return _of_message(answer["message"])
    return _of_chunks(answer["chunks"]) if "chunks" in answer else _of_whole(answer["completion"])


def _of_message(message: dict[str, Any]) -> dict[str, Any]:
    stops = {"end_turn": "stop", "max_tokens": "length", "tool_use": "tools"}
    blocks, usage = message["content"], message["usage"]
    return {
        "text": "".join(one["text"] for one in blocks if one["type"] == "text"),
        "finish": stops[message["stop_reason"]],
        "tokens": (usage["input_tokens"], usage["output_tokens"]),
        "calls": [
            (one["name"], json.dumps(one["input"], separators=(",", ":")))
            for one in blocks
            if one["type"] == "tool_use"
        ],
    }


def _of_whole(completion: dict[str, Any]) -> dict[str, Any]:
    [choice] = completion["choices"]
    calls = [one["function"] for one in choice["message"].get("tool_calls") or ()]
    return _said([choice["message"]], choice["finish_reason"], completion["usage"]) | {
        "calls": [(one["name"], _compact(one["arguments"])) for one in calls]
    }


def _of_chunks(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    finish = next(one["finish_reason"] for one in choices if one.get("finish_reason"))
    calls: dict[int, list[str]] = {}
    for choice in choices:
        for call in choice["delta"].get("tool_calls") or ():
            name, arguments = calls.setdefault(call["index"], ["", ""])
            function = call.get("function") or {}
            calls[call["index"]] = [
                name + (function.get("name") or ""),
                arguments + (function.get("arguments") or ""),
            ]
    return _said([one["delta"] for one in choices], finish, chunks[-1]["usage"]) | {
        "calls": [(name, _compact(arguments)) for name, arguments in calls.values()]
    }


def _said(parts: list[dict[str, Any]], finish: str, usage: dict[str, Any]) -> dict[str, Any]:
    return {
        "text": "".join(one.get("content") or "" for one in parts),
        "reasoning": "".join(
            one.get("reasoning_content") or one.get("reasoning") or "" for one in parts
        ),
        "finish": "tools" if finish == "tool_calls" else finish,
        "tokens": (usage["prompt_tokens"], usage["completion_tokens"]),
    }


def _compact(arguments: str) -> str:
    return json.dumps(json.loads(arguments), separators=(",", ":"))


def wrong_in(row: Row, seen: dict[str, Any]) -> dict[str, Any]:
    """What is not as it must be, by name; nothing if all is."""
    wrong = {name: seen.get(name) for name, value in row.seen.items() if seen.get(name) != value}
    if row.classes and seen.get("class") not in row.classes:
        wrong["class"] = seen.get("class")
    if seen["seconds"] > SECONDS:
        wrong["seconds"] = seen["seconds"]
    return wrong
