"""The table: what each official SDK is to make of each provider's answers, and of its errors."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tests.conformance.sdk import Sdk
from tests.providers.anthropic_wire import AnthropicWire
from tests.providers.cases import PARIS, PNG, SCHEMA, WEATHER
from tests.providers.gemini_wire import GeminiWire
from tests.providers.openai_dialects import DIALECTS
from tests.providers.standin import Misbehave, Refuse, Say, Script, Wire, vector_of

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
    differently: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    """What is seen over some providers instead, by their names."""
    model: str = "over-{provider}"
    caller: str = "pro"  # or free, or spent: who has used up what the free plan gives
    extra: dict[str, Any] = field(default_factory=dict)  # fields that the SDK does not know

    def seen_over(self, provider: str) -> dict[str, Any]:
        """What is seen over this provider."""
        return self.differently.get(provider, self.seen)


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

_REFUSED: Final = {"status": 400, "code": "not_supported_by_model", "http_requests": 1}
_TEXTS: Final = ["One", "Two words"]
_HTTP: Final = {"http_requests": 1}

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
    "n": Row(
        Say(choices=2),
        _HELLO | {"choices": 2},
        openai={"n": 2},
        anthropic=None,
        differently=dict.fromkeys(("anthropic", "mistral"), _REFUSED),
    ),
    "n stream": Row(
        Say(choices=2),
        _HELLO | {"choices": 2},
        "stream",
        _USAGE | {"n": 2},
        None,
        differently=dict.fromkeys(("anthropic", "mistral"), _REFUSED),
    ),
    "logprobs": Row(
        Say(logprob=-0.25),
        _HELLO | {"logprobs": [("Hel", -0.25), ("lo ", -0.25), ("there", -0.25)]},
        openai={"logprobs": True},
        anthropic=None,
        differently={"anthropic": _HELLO | {"logprobs": []}},  # it has none
    ),
    "embeddings": Row(
        Say(),
        {"vectors": [vector_of(text) for text in _TEXTS], **_HTTP},
        "embed",
        {"input": _TEXTS},
        None,
        differently={"anthropic": OVERLOADED},  # it has none
        model="vectors-over-{provider}",
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

SILENT: Final = Row(Misbehave("silent"), OVERLOADED, classes=_SERVER)
"""Takes as long as a provider may be silent."""

OURS: Final = {
    "models": Row(Say(), {"listed": True, **_HTTP}, "models", anthropic=None),
    "no such model": Row(
        Say(),
        {"status": 404, "code": "model_not_found", **_HTTP},
        classes=("NotFoundError",),
        model="over-nobody",
    ),
    "above the plan": Row(
        Say(),
        {"status": 403, "code": "model_not_in_plan", **_HTTP},
        classes=("PermissionDeniedError",),
        caller="free",
    ),
    "quota reached": Row(
        Say(),
        {"status": 429, "code": "insufficient_quota", **_HTTP},
        classes=("RateLimitError",),
        model="scalix-free",
        caller="spent",
    ),
    "unknown field": Row(
        Say(),
        {"status": 400, "code": "invalid_request", "param": "frobnicate", **_HTTP},
        extra={"frobnicate": 1},
        classes=("BadRequestError",),
    ),
}
"""What no provider hears of."""


def ask(
    sdk: Sdk, version: str, row: Row, provider: str, tokens: Mapping[str, str], base_url: str
) -> dict[str, Any] | None:
    """What the SDK's user sees of this row; None where it has no such thing."""
    by_anthropic = "anthropic" in version
    fields = row.anthropic if by_anthropic else row.openai
    if fields is None:
        return None
    model = row.model.format(provider=provider)
    request: dict[str, Any] = {"model": model, **fields}
    if row.action != "embed":
        messages = [{"role": "user", "content": "Hello"}]
        request = {"max_tokens": 50, "messages": messages} | request
    if row.action == "parse" and not version.startswith("node-"):
        del request["response_format"]  # it makes its own
    if row.extra:
        request |= row.extra if version.startswith("node-") else {"extra_body": row.extra}
    base_url += "" if by_anthropic else "/v1"
    answer = sdk.do(row.action, request=request, base_url=base_url, token=tokens[row.caller])
    seen = _seen(answer, model, by_anthropic=by_anthropic)
    return seen | {"http_requests": answer["http_requests"], "seconds": answer["seconds"]}


def _seen(answer: dict[str, Any], model: str, *, by_anthropic: bool) -> dict[str, Any]:
    if error := answer.get("error") or answer.get("broke"):
        body = error["body"] or {}
        inner = body.get("error") or body
        code, param = (error[one] or inner.get(one) for one in ("code", "param"))
        return {
            "class": error["class"],
            "status": error["status_code"],
            "code": code,
            "param": param,
        }
    if "models" in answer:
        return {"listed": model in answer["models"]}
    for name in ("parsed", "vectors"):
        if name in answer:
            return {name: answer[name]}
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
    choice = completion["choices"][-1]
    calls = [one["function"] for one in choice["message"].get("tool_calls") or ()]
    logprobs = (choice.get("logprobs") or {}).get("content") or ()
    return _said([choice["message"]], choice["finish_reason"], completion["usage"]) | {
        "calls": [(one["name"], _compact(one["arguments"])) for one in calls],
        "logprobs": [(one["token"], one["logprob"]) for one in logprobs],
        "choices": len(completion["choices"]),
    }


def _of_chunks(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    all_choices = [choice for chunk in chunks for choice in chunk["choices"]]
    count = len({one["index"] for one in all_choices})
    choices = [one for one in all_choices if one["index"] == count - 1]
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
        "calls": [(name, _compact(arguments)) for name, arguments in calls.values()],
        "choices": count,
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


def wrong_in(row: Row, provider: str, seen: dict[str, Any]) -> dict[str, Any]:
    """What is not as it must be, by name; nothing if all is."""
    wanted = row.seen_over(provider)
    wrong = {name: seen.get(name) for name, value in wanted.items() if seen.get(name) != value}
    if row.classes and seen.get("class") not in row.classes:
        wrong["class"] = seen.get("class")
    if seen["seconds"] > SECONDS:
        wrong["seconds"] = seen["seconds"]
    return wrong
