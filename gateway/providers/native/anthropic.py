"""Anthropic's Messages.  Source: docs.anthropic.com, Messages and Streaming Messages."""

import functools
from typing import Any, Final

import orjson

from gateway.providers import failures
from gateway.providers.native.wire import Call, EventReader, arguments_of, chunk_of
from gateway.providers.translation import library, messages_of, parameters_of
from gateway.token_report import is_count, usage_block
from gateway.types import ChatRequest, Target, TokenUsage

_ADDRESS: Final = "https://api.anthropic.com"
_PATH: Final = "/v1/messages"
_FINISH: Final = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
# Statuses that an error event stands for: once a stream has begun, its own status was 200.
_STATUSES: Final = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "overloaded_error": 529,
}


class Anthropic:
    """The dialect."""

    def call(self, target: Target, request: ChatRequest) -> Call:
        """What is sent; whatever litellm stumbles over is raised as it is."""
        config, model = _config(), target.upstream_model
        asked = parameters_of(request)
        asked.pop("stream_options", None)  # usage always comes
        is_stream = asked.pop("stream", False)
        optional = config.map_openai_params(
            non_default_params=asked, optional_params={}, model=model, drop_params=True
        )
        messages = messages_of(request, config)
        json_mode = optional.pop("json_mode", False)
        if "thinking" in optional:
            _reconcile_thinking(optional, messages)
        headers = dict(_headers(target))
        if not _plain(request):  # some tools and documents need headers of their own
            headers = config.validate_environment(
                headers={},
                model=model,
                messages=messages,
                optional_params=optional,
                litellm_params={},
                api_key=target.api_key or "none",
                api_base=target.base_url,
            )
        parameters: dict[str, Any] = {}
        body = config.transform_request(
            model=model,
            messages=messages,
            optional_params=optional,
            litellm_params=parameters,
            headers=headers,
        )
        if is_stream:
            body["stream"] = True
        return Call(
            dialect=self,
            url=_url(target),
            headers=headers,
            body=orjson.dumps(body),
            tool_names=parameters.get("_anthropic_tool_name_map") or {},
            json_tool="json_tool_call" if json_mode else "",
        )

    def completion(self, answer: dict[str, Any], call: Call) -> dict[str, Any]:
        """A message as a `chat.completion`."""
        text, thinking, calls = list[str](), list[str](), list[dict[str, Any]]()
        for block in answer["content"]:
            match block["type"]:
                case "text":
                    text.append(block["text"])
                case "thinking":
                    thinking.append(block["thinking"])
                case "tool_use" if block["name"] == call.json_tool:
                    text.append(arguments_of(block["input"]))
                case "tool_use":
                    calls.append(_tool_call(block, call, arguments_of(block["input"])))
        message: dict[str, Any] = {"role": "assistant", "content": "".join(text) or None}
        if thinking:
            message["reasoning_content"] = "".join(thinking)
        if calls:
            message["tool_calls"] = calls
        finish = _finish_of(answer["stop_reason"], calls=bool(calls))
        choice = {"index": 0, "message": message, "finish_reason": finish}
        return {"choices": [choice], **_usage_of(answer.get("usage"))}

    def reader(self, call: Call) -> EventReader:
        """For one stream."""
        return _MessageReader(call)


class _MessageReader(EventReader):
    """Reads a message's events."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._usage: dict[str, Any] = {}
        self._calls = -1  # the number of the latest tool call
        self._in_json = False  # inside the tool that stands for a JSON answer
        self._owes_arguments = False  # inside a tool of which there were none yet
        self._is_whole = False

    @property
    def is_whole(self) -> bool:
        """It said so."""
        return self._is_whole

    def chunks_of(self, event: dict[str, Any]) -> list[dict[str, Any]]:
        """The chunks that an event comes to."""
        match event["type"]:
            case "content_block_delta":
                return self._grow(event["delta"])
            case "content_block_start":
                return self._begin(event["content_block"])
            case "content_block_stop" if self._owes_arguments:
                self._owes_arguments = False
                return [self._more_arguments("{}")]
            case "message_start":
                self._usage = dict(event["message"].get("usage") or {})
                self._usage.pop("output_tokens", None)  # a beginning: the end has the number
                return [chunk_of({"role": "assistant", "content": ""})]
            case "message_delta":
                self._usage |= event.get("usage") or {}
                finish = _finish_of(event["delta"].get("stop_reason"), calls=self._calls >= 0)
                last = [chunk_of({}, finish)]
                usage = _usage_of(self._usage)
                return [*last, {"choices": [], **usage}] if usage else last
            case "message_stop":
                self._is_whole = True
            case "error":
                raise _error_of(event["error"])
        return []  # pings, ends of blocks, and what is new since this was written

    def _begin(self, block: dict[str, Any]) -> list[dict[str, Any]]:
        self._in_json = False
        if block["type"] == "text" and block.get("text"):
            return [chunk_of({"content": block["text"]})]
        if block["type"] != "tool_use":
            return []
        self._owes_arguments = True
        if block["name"] == self._call.json_tool:
            self._in_json = True
            return []
        self._calls += 1
        begun = {"index": self._calls, **_tool_call(block, self._call, "")}
        return [chunk_of({"tool_calls": [begun]})]

    def _grow(self, delta: dict[str, Any]) -> list[dict[str, Any]]:
        match delta["type"]:
            case "text_delta":
                return [chunk_of({"content": delta["text"]})]
            case "thinking_delta":
                return [chunk_of({"reasoning_content": delta["thinking"]})]
            case "input_json_delta":
                more = delta["partial_json"]
                self._owes_arguments = self._owes_arguments and not more
                return [self._more_arguments(more)]
        return []  # signatures

    def _more_arguments(self, json: str) -> dict[str, Any]:
        if self._in_json:
            return dict(chunk_of({"content": json}))
        more = {"index": self._calls, "function": {"arguments": json}}
        return dict(chunk_of({"tool_calls": [more]}))


def _tool_call(block: dict[str, Any], call: Call, arguments: str) -> dict[str, Any]:
    name = call.tool_names.get(block["name"], block["name"])
    function = {"name": name, "arguments": arguments}
    return {"id": block["id"], "type": "function", "function": function}


def _finish_of(stop_reason: str | None, *, calls: bool) -> str:
    """OpenAI's reason; a tool that only stood for a JSON answer was no call."""
    if stop_reason == "tool_use" and not calls:
        return "stop"
    return _FINISH.get(stop_reason or "", "stop")


def _usage_of(usage: Any) -> dict[str, Any]:
    """The field `usage`; nothing where it is not reported, or only in part.

    All that was read counts as prompt, what came out of or went into a cache too.
    """
    if not isinstance(usage, dict):
        return {}
    cached = usage.get("cache_read_input_tokens") or 0
    written = usage.get("cache_creation_input_tokens") or 0
    read, said = usage.get("input_tokens"), usage.get("output_tokens")
    if not (is_count(cached) and is_count(written) and is_count(read) and is_count(said)):
        return {}
    return {"usage": usage_block(TokenUsage(read + cached + written, said, cached))}


def _error_of(error: dict[str, Any]) -> Exception:
    return failures.failure_of(
        _STATUSES.get(error.get("type", ""), 500), orjson.dumps({"error": error})
    )


def _reconcile_thinking(optional: dict[str, Any], messages: list[dict[str, Any]]) -> None:
    """Leaves out the thinking where it can't go with what else is asked for, else what hinders it.

    A tool that must be called excludes it; so does one that was called, since the thoughts before
    it would have to come back, and clients of OpenAI's wire don't have them.  A budget must be
    less than the answer's length.  Source: docs.anthropic.com, Extended thinking.
    """
    thinking, most = optional["thinking"], optional.get("max_tokens")
    if thinking.get("type") == "enabled":
        thinking = _config().cap_thinking_budget_to_max_tokens(thinking, most)
        if _last_called_a_tool(messages):
            thinking = None
    if (optional.get("tool_choice") or {}).get("type") in ("any", "tool"):
        thinking = None
    if thinking is None:
        del optional["thinking"]
        return
    optional["thinking"] = thinking
    for one in ("temperature", "top_p", "top_k"):
        optional.pop(one, None)


def _last_called_a_tool(messages: list[dict[str, Any]]) -> bool:
    """Whether the latest answer in a conversation called one."""
    answers = (one for one in reversed(messages) if one["role"] == "assistant")
    latest = next(answers, None)
    return latest is not None and bool(latest.get("tool_calls"))


def _plain(request: ChatRequest) -> bool:
    """Whether it is made of nothing but texts, which need no headers of their own."""
    return not request.parameters and all(
        isinstance(message.get("content"), str) for message in request.messages
    )


def _url(target: Target) -> str:
    base = (target.base_url or _ADDRESS).rstrip("/")
    return base if base.endswith(_PATH) else f"{base.removesuffix('/v1')}{_PATH}"


@functools.lru_cache(maxsize=1024)
def _headers(target: Target) -> dict[str, str]:
    """Of a plain request."""
    headers: dict[str, str] = _config().validate_environment(
        headers={},
        model=target.upstream_model,
        messages=[],
        optional_params={},
        litellm_params={},
        api_key=target.api_key or "none",
        api_base=target.base_url,
    )
    return headers


@functools.cache
def _config() -> Any:
    library()
    from litellm.llms.anthropic.chat.transformation import AnthropicConfig

    return AnthropicConfig()
