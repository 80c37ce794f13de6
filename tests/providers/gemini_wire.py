"""Gemini's generateContent, from its public documentation."""

import json
from typing import Any, Final

from aiohttp import web

from tests.providers.standin import Json, Say, vector_of

_FINISH: Final = {"stop": "STOP", "length": "MAX_TOKENS", "tools": "STOP", "filter": "SAFETY"}
_ERRORS: Final = {
    "bad request": (400, "INVALID_ARGUMENT", "stop_sequences: too many"),
    "account": (400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."),
    "key": (401, "UNAUTHENTICATED", "Request had invalid authentication credentials."),
    "forbidden": (403, "PERMISSION_DENIED", "The caller does not have permission"),
    "missing": (404, "NOT_FOUND", "models/none is not found"),
    "rate": (429, "RESOURCE_EXHAUSTED", "You exceeded your current quota"),
    "server": (500, "INTERNAL", "An internal error has occurred"),
    "overloaded": (503, "UNAVAILABLE", "The model is overloaded. Please try again later."),
}
_REASONS: Final = {"account": "API_KEY_INVALID"}


class GeminiWire:
    """How it writes."""

    provider = "gemini"
    model = "gemini-2.5-flash"
    path = ""

    def is_stream(self, request: web.Request, body: Json) -> bool:
        """By the method in the path."""
        return "streamGenerateContent" in request.path

    def whole(self, say: Say) -> Json:
        """An answer."""
        parts = [{"text": one, "thought": True} for one in ("".join(say.reasoning),) if one]
        parts += [{"text": one} for one in (say.text,) if one]
        return self._piece(say, parts + self._calls(say), ends=True)

    def events(self, say: Say) -> list[bytes]:
        """A stream's pieces: each has the form of an answer, and lines end in CRLF."""
        parts = [[{"text": one, "thought": True}] for one in say.reasoning]
        parts += [[{"text": one}] for one in say.pieces]
        parts += [[one] for one in self._calls(say)]
        events = [self._piece(say, one) for one in parts]
        return [_event(one) for one in (*events, self._piece(say, [{"text": ""}], ends=True))]

    def refusal(self, kind: str) -> tuple[int, Any]:
        """An error's status and body."""
        code, status, message = _ERRORS[kind]
        error: Json = {"code": code, "message": message, "status": status}
        if reason := _REASONS.get(kind):
            kind_of_detail = "type.googleapis.com/google.rpc.ErrorInfo"
            error["details"] = [{"@type": kind_of_detail, "reason": reason}]
        if kind == "rate":
            kind_of_detail = "type.googleapis.com/google.rpc.RetryInfo"
            error["details"] = [{"@type": kind_of_detail, "retryDelay": "34s"}]
        return code, {"error": error}

    def error_event(self) -> bytes:
        """An error in the middle of a stream."""
        return _event(self.refusal("overloaded")[1])

    def vectors(self, request: web.Request, body: Json) -> Json | None:
        """By a method of their own."""
        if not request.path.endswith(":batchEmbedContents"):
            return None
        texts = [one["content"]["parts"][0]["text"] for one in body["requests"]]
        return {"embeddings": [{"values": vector_of(text)} for text in texts]}

    def _piece(self, say: Say, parts: list[Json], *, ends: bool = False) -> Json:
        candidates = []
        for index in range(say.choices):
            candidate: Json = {"content": {"role": "model", "parts": parts}, "index": index}
            if ends:
                candidate["finishReason"] = _FINISH[say.finish]
            if ends and say.logprob is not None:
                chosen = [{"token": one, "logProbability": say.logprob} for one in say.pieces]
                candidate["logprobsResult"] = {"chosenCandidates": chosen}
            candidates.append(candidate)
        thoughts = 2 if say.reasoning else 0
        usage = {
            "promptTokenCount": say.prompt_tokens,
            "candidatesTokenCount": say.completion_tokens - thoughts,
            "totalTokenCount": say.prompt_tokens + say.completion_tokens,
        }
        if thoughts:
            usage["thoughtsTokenCount"] = thoughts
        if say.cached_tokens:
            usage["cachedContentTokenCount"] = say.cached_tokens
        return {"candidates": candidates, "usageMetadata": usage, "modelVersion": self.model}

    def _calls(self, say: Say) -> list[Json]:
        return [
            {"functionCall": {"name": call.name, "args": json.loads(call.arguments)}}
            for call in say.calls
        ]


def _event(value: Json) -> bytes:
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\r\n\r\n"
