"""The dialects of OpenAI's wire, each as its provider documents it: fields, errors, framing."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

from aiohttp import web

from tests.providers.standin import Json, Say, vector_of

_FINISH: Final = {
    "stop": "stop",
    "length": "length",
    "tools": "tool_calls",
    "filter": "content_filter",
}
_STATUSES: Final = {
    "bad request": 400,
    "account": 400,
    "key": 401,
    "forbidden": 403,
    "missing": 404,
    "rate": 429,
    "server": 500,
    "overloaded": 503,
}
_MESSAGES: Final = {
    "bad request": "stop: too many",
    "account": "You exceeded your current quota, please check your plan and billing details.",
    "key": "Incorrect API key provided",
    "forbidden": "You are not allowed to do that",
    "missing": "The model does not exist",
    "rate": "Rate limit reached",
    "server": "The server had an error",
    "overloaded": "The engine is currently overloaded",
}

Error = Callable[[str, int], tuple[int, Any]]


def _openai_error(kind: str, status: int) -> tuple[int, Any]:
    code = {"account": "insufficient_quota", "missing": "model_not_found"}.get(kind)
    error = {"message": _MESSAGES[kind], "type": "invalid_request_error", "param": None}
    return status, {"error": error | {"code": code}}


def _openrouter_error(kind: str, status: int) -> tuple[int, Any]:
    status = 402 if kind == "account" else status
    return status, {"error": {"code": status, "message": _MESSAGES[kind]}, "user_id": "u"}


def _deepseek_error(kind: str, status: int) -> tuple[int, Any]:
    if kind == "account":
        status = 402
    error = {"message": _MESSAGES[kind], "type": "unknown_error", "param": None, "code": "x"}
    return status, {"error": error}


def _bare_error(kind: str, status: int) -> tuple[int, Any]:
    """Mistral's and vLLM's: not inside an `error`."""
    status = 402 if kind == "account" else status
    message = {"message": _MESSAGES[kind], "type": "BadRequestError", "param": None}
    return status, {"object": "error", **message, "code": status}


def _listed_error(kind: str, status: int) -> tuple[int, Any]:
    """Gemini's, at its OpenAI endpoint: in a list."""
    error: Json = {"code": status, "message": _MESSAGES[kind], "status": "INVALID_ARGUMENT"}
    if kind == "account":
        error["details"] = [{"reason": "API_KEY_INVALID"}]
    return status, [{"error": error}]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAIDialect:
    """One provider's."""

    name: str
    provider: str = "openai"
    model: str = "large"
    path: str = "/v1"
    error: Error = _openai_error
    reasoning_field: str = "reasoning_content"
    usage: Literal["own chunk", "with the end", "x_groq"] = "own chunk"
    comment: bytes = b""  # between events
    newline: bytes = b"\n"
    prefix: bytes = b"data: "
    done: bool = True
    extra: Json | None = None  # of each chunk
    takes_images: bool = True  # litellm leaves them out of what can't take them

    def is_stream(self, request: web.Request, body: Json) -> bool:
        """By a field of the body."""
        return bool(body.get("stream"))

    def whole(self, say: Say) -> Json:
        """A chat.completion."""
        message: Json = {"role": "assistant", "content": say.text or None}
        if say.reasoning:
            message[self.reasoning_field] = "".join(say.reasoning)
        if say.calls:
            message["tool_calls"] = self._calls(say)
        choice: Json = {"message": message, "finish_reason": _FINISH[say.finish]}
        if say.logprob is not None:
            choice["logprobs"] = {"content": [_logprob(one, say.logprob) for one in say.pieces]}
        choices = [{"index": index, **choice} for index in range(say.choices)]
        return self._frame("chat.completion") | {"choices": choices, "usage": self._usage(say)}

    def events(self, say: Say) -> list[bytes]:
        """A stream, with the usage where this provider has it."""
        deltas: list[Json] = [{"role": "assistant", "content": ""}]
        deltas += [{self.reasoning_field: one} for one in say.reasoning]
        deltas += [{"content": one} for one in say.pieces]
        for index, call in enumerate(self._calls(say)):
            whole = call["function"]["arguments"]
            begun = call | {"index": index, "function": call["function"] | {"arguments": ""}}
            more = [{"index": index, "function": {"arguments": half}} for half in _halves(whole)]
            deltas += [{"tool_calls": [one]} for one in (begun, *more)]
        chunks = [
            self._chunk([{"index": index, "delta": delta, "finish_reason": None}])
            for delta in deltas
            for index in range(say.choices)
        ]
        end = self._chunk(
            [
                {"index": index, "delta": {}, "finish_reason": _FINISH[say.finish]}
                for index in range(say.choices)
            ]
        )
        usage = self._usage(say)
        if self.usage == "with the end":
            end["usage"] = usage
        if self.usage == "x_groq":
            end |= {"x_groq": {"id": "req_1", "usage": usage}, "usage": usage}
        chunks.append(end)
        if self.usage == "own chunk":
            chunks.append(self._chunk([]) | {"usage": usage})
        events = [self._event(json.dumps(one, ensure_ascii=False).encode()) for one in chunks]
        return [*events, self._event(b"[DONE]")] if self.done else events

    def refusal(self, kind: str) -> tuple[int, Any]:
        """An error's status and body."""
        return self.error(kind, _STATUSES[kind])

    def error_event(self) -> bytes:
        """An error in the middle of a stream."""
        body = self.error("overloaded", 503)[1]
        body = body[0] if isinstance(body, list) else body
        return self._event(json.dumps({"error": body.get("error", body)}).encode())

    def vectors(self, request: web.Request, body: Json) -> Json | None:
        """At an address of their own; in any order."""
        if not request.path.endswith("/embeddings"):
            return None
        data = [
            {"object": "embedding", "index": index, "embedding": vector_of(text)}
            for index, text in enumerate(body["input"])
        ]
        usage = {"prompt_tokens": 7, "total_tokens": 7}
        return {"object": "list", "model": self.model, "data": data[::-1], "usage": usage}

    def _calls(self, say: Say) -> list[Json]:
        return [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in say.calls
        ]

    def _usage(self, say: Say) -> Json:
        usage: Json = {
            "prompt_tokens": say.prompt_tokens,
            "completion_tokens": say.completion_tokens,
            "total_tokens": say.prompt_tokens + say.completion_tokens,
        }
        if say.cached_tokens:
            usage["prompt_tokens_details"] = {"cached_tokens": say.cached_tokens}
        return usage

    def _frame(self, kind: str) -> Json:
        return {"id": "gen-1", "object": kind, "created": 1, "model": self.model} | (
            self.extra or {}
        )

    def _chunk(self, choices: list[Json]) -> Json:
        return self._frame("chat.completion.chunk") | {"choices": choices}

    def _event(self, data: bytes) -> bytes:
        return self.comment + self.prefix + data + 2 * self.newline


def _logprob(token: str, logprob: float) -> Json:
    return {"token": token, "logprob": logprob, "bytes": list(token.encode()), "top_logprobs": []}


def _halves(text: str) -> tuple[str, str]:
    return text[:4], text[4:]


DIALECTS: Final = (
    OpenAIDialect(name="openai", extra={"system_fingerprint": "fp_1", "service_tier": "default"}),
    OpenAIDialect(
        name="openrouter",
        provider="openrouter",
        error=_openrouter_error,
        reasoning_field="reasoning",
        comment=b": OPENROUTER PROCESSING\n\n",
        extra={"provider": "DeepInfra"},
    ),
    OpenAIDialect(
        name="deepseek",
        provider="deepseek",
        error=_deepseek_error,
        usage="with the end",
        comment=b": keep-alive\n\n",
        takes_images=False,
    ),
    OpenAIDialect(name="together", provider="together_ai", reasoning_field="reasoning"),
    OpenAIDialect(name="groq", provider="groq", usage="x_groq", reasoning_field="reasoning"),
    OpenAIDialect(name="mistral", provider="mistral", error=_bare_error, usage="with the end"),
    OpenAIDialect(name="gemini-openai", error=_listed_error, usage="with the end", done=False),
    OpenAIDialect(name="ollama", usage="own chunk", reasoning_field="reasoning"),
    OpenAIDialect(name="vllm", provider="hosted_vllm", error=_bare_error),
    OpenAIDialect(name="odd", newline=b"\r\n", prefix=b"data:", done=False, usage="with the end"),
)
