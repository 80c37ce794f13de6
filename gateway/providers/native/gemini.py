"""Gemini's generateContent.  Source: ai.google.dev, the Gemini API's generateContent."""

import functools
import secrets
from typing import Any, Final

import orjson

from gateway.providers import failures
from gateway.providers.native.wire import Call, EventReader, arguments_of, chunk_of
from gateway.providers.translation import SIGNED, library, messages_of, parameters_of
from gateway.token_report import is_count, usage_block
from gateway.types import ChatRequest, Target, TokenUsage

_ADDRESS: Final = "https://generativelanguage.googleapis.com/v1beta"
_FINISH: Final = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    **dict.fromkeys(
        (
            *("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "LANGUAGE"),
            *("IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT"),
        ),
        "content_filter",
    ),
}
# The model meant to call a tool, and what it wrote is no call.
_BROKEN: Final = frozenset(
    {"MALFORMED_FUNCTION_CALL", "MALFORMED_RESPONSE", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS"}
    | {"MISSING_THOUGHT_SIGNATURE"}
)


class Gemini:
    """The dialect."""

    def call(self, target: Target, request: ChatRequest) -> Call:
        """What is sent; whatever litellm stumbles over is raised as it is."""
        config, transform = _translation()
        model = target.upstream_model
        asked = parameters_of(request)
        asked.pop("stream_options", None)  # usage always comes
        is_stream = asked.pop("stream", False)
        optional = config.map_openai_params(
            non_default_params=asked, optional_params={}, model=model, drop_params=True
        )
        body = transform(
            messages=messages_of(request, config, signed=True),
            model=model,
            optional_params=optional,
            custom_llm_provider="gemini",
            litellm_params={},
            cached_content=None,
        )
        method = "streamGenerateContent?alt=sse" if is_stream else "generateContent"
        return Call(
            dialect=self,
            url=f"{address_of(target)}/models/{model}:{method}",
            headers=headers_of(target),
            body=orjson.dumps(body),
            tool_names={},
        )

    def completion(self, answer: dict[str, Any], call: Call) -> dict[str, Any]:  # noqa: ARG002
        """An answer as a `chat.completion`; blocked for its prompt, it has one empty choice."""
        choices = []
        for place, candidate in enumerate(answer.get("candidates") or _blocked(answer)):
            text, thoughts, calls = _parts_of(candidate)
            message: dict[str, Any] = {"role": "assistant", "content": text or None}
            if thoughts:
                message["reasoning_content"] = thoughts
            if calls:
                message["tool_calls"] = calls
            finish = _finish_of(candidate.get("finishReason"), calls=bool(calls))
            choice: dict[str, Any] = {
                "index": candidate.get("index", place),
                "message": message,
                "finish_reason": finish,
            }
            if logprobs := _logprobs_of(candidate):
                choice["logprobs"] = logprobs
            choices.append(choice)
        if not choices:
            raise failures.rubbish()
        return {"choices": choices, **_usage_of(answer.get("usageMetadata"))}

    def reader(self, call: Call) -> EventReader:  # noqa: ARG002
        """For one stream."""
        return _AnswerReader()


def address_of(target: Target) -> str:
    """What all its methods' addresses begin with."""
    return (target.base_url or _ADDRESS).rstrip("/")


def headers_of(target: Target) -> dict[str, str]:
    """The key is in one of them, and not in the address, which logs have."""
    headers = {"content-type": "application/json"}
    return headers | {"x-goog-api-key": target.api_key} if target.api_key else headers


class _AnswerReader(EventReader):
    """Reads a stream's pieces, each of which has the form of an answer."""

    def __init__(self) -> None:
        self._calls: dict[int, int] = {}  # of each choice that has begun, how many have come
        self._ended = set[int]()
        self._usage: Any = None  # the latest, which counts all

    @property
    def is_whole(self) -> bool:
        """Every choice that has begun has ended."""
        return bool(self._ended) and self._ended == self._calls.keys()

    def chunks_of(self, event: dict[str, Any]) -> list[dict[str, Any]]:
        """The chunks that a piece comes to."""
        if "error" in event:
            raise failures.failure_in(event)
        chunks = []
        for place, candidate in enumerate(event.get("candidates") or _blocked(event)):
            chunks.append(self._chunk(candidate, candidate.get("index", place)))
        self._usage = event.get("usageMetadata") or self._usage
        return chunks

    def end(self) -> list[dict[str, Any]]:
        """The usage, which pieces may still correct after the last choice has ended."""
        usage = _usage_of(self._usage)
        return [{"choices": [], **usage}] if usage else []

    def _chunk(self, candidate: dict[str, Any], index: int) -> dict[str, Any]:
        text, thoughts, calls = _parts_of(candidate)
        delta: dict[str, Any] = {} if index in self._calls else {"role": "assistant"}
        known = self._calls.setdefault(index, 0)
        if text:
            delta["content"] = text
        if thoughts:
            delta["reasoning_content"] = thoughts
        if calls:
            delta["tool_calls"] = [{"index": known + n, **one} for n, one in enumerate(calls)]
            self._calls[index] = known + len(calls)
        reason = candidate.get("finishReason")
        if reason is None:
            return dict(chunk_of(delta, index=index))
        self._ended.add(index)
        finish = _finish_of(reason, calls=self._calls[index] > 0)
        chunk: dict[str, Any] = chunk_of(delta, finish, index)
        if logprobs := _logprobs_of(candidate):
            chunk["choices"][0]["logprobs"] = logprobs
        return chunk


def _parts_of(candidate: dict[str, Any]) -> tuple[str, str, list[dict[str, Any]]]:
    """What a candidate says, what it thought, and the tools that it calls."""
    text, thoughts, calls = list[str](), list[str](), list[dict[str, Any]]()
    for part in (candidate.get("content") or {}).get("parts") or ():
        if call := part.get("functionCall"):
            calls.append(_tool_call(call, part.get("thoughtSignature")))
        elif isinstance(said := part.get("text"), str):
            (thoughts if part.get("thought") else text).append(said)
    return "".join(text), "".join(thoughts), calls


def _tool_call(call: dict[str, Any], signature: str | None) -> dict[str, Any]:
    """The signature must come back with the call, and the id is all that clients hand on."""
    call_id = call.get("id") or f"call_{secrets.token_hex(12)}"
    if signature:
        call_id = f"{call_id}{SIGNED}{signature}"
    function = {"name": call["name"], "arguments": arguments_of(call.get("args"))}
    return {"id": call_id, "type": "function", "function": function}


def _blocked(answer: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    """A prompt that was found objectionable is answered by no candidate at all."""
    is_blocked = (answer.get("promptFeedback") or {}).get("blockReason")
    return ({"finishReason": "SAFETY"},) if is_blocked else ()


def _finish_of(reason: str | None, *, calls: bool) -> str:
    if reason in _BROKEN:
        raise failures.rubbish()
    finish = _FINISH.get(reason or "", "stop")
    return "tool_calls" if calls and finish == "stop" else finish


def _usage_of(usage: Any) -> dict[str, Any]:
    """The field `usage`; nothing where it is not reported, or only in part.

    Thoughts are tokens of the answer: some count them among the candidates', as the total shows.
    Without any candidate there is no count of them, and the total is the prompt's.
    """
    if not isinstance(usage, dict):
        return {}
    prompt, total = usage.get("promptTokenCount"), usage.get("totalTokenCount")
    said = usage.get("candidatesTokenCount", 0 if is_count(total) else None)
    thoughts = usage.get("thoughtsTokenCount") or 0
    cached = usage.get("cachedContentTokenCount") or 0
    if not (is_count(prompt) and is_count(said) and is_count(thoughts) and is_count(cached)):
        return {}
    if total != prompt + said:
        said += thoughts
    return {"usage": usage_block(TokenUsage(prompt, said, cached), reasoning=thoughts)}


def _logprobs_of(candidate: dict[str, Any]) -> dict[str, Any] | None:
    result = candidate.get("logprobsResult") or {}
    chosen, top = result.get("chosenCandidates"), result.get("topCandidates") or []
    if not chosen:
        return None
    return {
        "content": [
            _logprob(one)
            | {"top_logprobs": [_logprob(other) for other in others.get("candidates") or ()]}
            for one, others in zip(chosen, [*top, *[{}] * (len(chosen) - len(top))], strict=False)
        ]
    }


def _logprob(candidate: dict[str, Any]) -> dict[str, Any]:
    return {"token": candidate["token"], "logprob": candidate["logProbability"], "bytes": None}


@functools.cache
def _translation() -> tuple[Any, Any]:
    library()
    from litellm.llms.gemini.chat.transformation import GoogleAIStudioGeminiConfig
    from litellm.llms.vertex_ai.gemini.transformation import transform_request_body

    return GoogleAIStudioGeminiConfig(), transform_request_body
