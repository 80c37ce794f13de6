"""What an answer took: as the provider reports it, counted here where it does not."""

from typing import Any

import orjson

from gateway import tokenizer
from gateway.types import ChatRequest, TokenUsage


def reported(usage: object) -> TokenUsage | None:
    """The tokens in a provider's `usage`; None unless it is there and makes sense."""
    if not isinstance(usage, dict):
        return None
    prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if not (_is_count(prompt) and _is_count(completion)):
        return None
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else 0
    return TokenUsage(prompt, completion, cached if _is_count(cached) else 0)


def counted(request: ChatRequest, answer: str) -> TokenUsage:
    """The tokens as counted here."""
    return TokenUsage(tokenizer.count_prompt(request), tokenizer.count_text(answer), estimated=True)


def text_of_completion(body: dict[str, Any]) -> str:
    """Everything that a `chat.completion` says, all choices together."""
    return "".join(_text_in(choice["message"]) for choice in body["choices"])


class StreamReport:
    """Watches a stream's chunks: what they said, and what usage they reported last."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._reported: TokenUsage | None = None

    def saw(self, chunk: dict[str, Any]) -> bool:
        """Notes a chunk; whether it says anything."""
        if usage := chunk.get("usage"):
            self._reported = reported(usage) or self._reported
        text = "".join(_text_in(choice["delta"]) for choice in chunk["choices"])
        if text:
            self._pieces.append(text)
        return bool(text)

    def tokens(self, request: ChatRequest) -> TokenUsage:
        """What the stream took so far: as last reported, else counted."""
        return self._reported or counted(request, "".join(self._pieces))


def _text_in(part: dict[str, Any]) -> str:
    """The text, reasoning, refusal and tool calls of a message or a delta."""
    text = part.get("content")
    said = text if isinstance(text, str) else ""
    for name in ("reasoning_content", "reasoning", "refusal"):
        if isinstance(more := part.get(name), str):
            said += more
    if calls := part.get("tool_calls"):
        said += orjson.dumps(calls).decode()
    return said


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31
