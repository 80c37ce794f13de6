"""What an answer took: as the provider reports it, counted here where it does not."""

from typing import Any, TypeGuard

import orjson

from gateway.sizing.text import count_text
from gateway.types import TokenUsage


def reported(usage: object) -> TokenUsage | None:
    """The tokens in a provider's `usage`; None unless it is there and makes sense."""
    if not isinstance(usage, dict):
        return None
    prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if not (is_count(prompt) and is_count(completion)):
        return None
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else 0
    return TokenUsage(prompt, completion, cached if is_count(cached) else 0)


def usage_block(tokens: TokenUsage, *, reasoning: int = 0) -> dict[str, Any]:
    """OpenAI's `usage`, as `reported` reads it; `reasoning` says how much of the answer it was."""
    usage: dict[str, Any] = {
        "prompt_tokens": tokens.prompt_tokens,
        "completion_tokens": tokens.completion_tokens,
        "total_tokens": tokens.total,
        "prompt_tokens_details": {"cached_tokens": tokens.cached_tokens},
    }
    if reasoning:
        usage["completion_tokens_details"] = {"reasoning_tokens": reasoning}
    return usage


class CompletionReport:
    """What a whole `chat.completion` says, all choices together, and the usage that it reports."""

    def __init__(self, body: dict[str, Any]) -> None:
        self._text = "".join(_text_in(choice["message"]) for choice in body["choices"])
        self._reported = reported(body.get("usage"))

    @property
    def says_something(self) -> bool:
        """Whether there is any content."""
        return bool(self._text)

    def tokens(self, prompt_tokens: int) -> TokenUsage:
        """What the answer took: as reported, else counted; so is the prompt, then, here."""
        return self._reported or _counted(prompt_tokens, self._text)


class EmbeddingReport:
    """What a list of embeddings says, and the usage that it reports."""

    def __init__(self, body: dict[str, Any]) -> None:
        usage = body.get("usage")
        prompt = usage.get("prompt_tokens") if isinstance(usage, dict) else None
        self._reported = TokenUsage(prompt, 0) if is_count(prompt) and prompt else None

    says_something = True  # there is a vector for each text, or it is no answer

    def tokens(self, prompt_tokens: int) -> TokenUsage:
        """What they took: as reported, else as counted here."""
        return self._reported or TokenUsage(prompt_tokens, 0, estimated=True)


class StreamReport:
    """Watches a stream's chunks: what they said, and what usage they reported last."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._reported: TokenUsage | None = None

    def saw(self, chunk: dict[str, Any]) -> bool:
        """Notes a chunk; whether it says anything."""
        if usage := chunk.get("usage"):
            self._reported = reported(usage) or self._reported
        says = False
        for choice in chunk["choices"]:
            if text := _text_in(choice["delta"]):
                self._pieces.append(text)
                says = True
        return says

    @property
    def says_something(self) -> bool:
        """Whether there was any content so far."""
        return bool(self._pieces)

    def tokens(self, prompt_tokens: int) -> TokenUsage:
        """What the stream took so far: as last reported, else counted; so is the prompt, then."""
        return self._reported or _counted(prompt_tokens, "".join(self._pieces))


def _counted(prompt_tokens: int, answer: str) -> TokenUsage:
    return TokenUsage(prompt_tokens, count_text(answer), estimated=True)


def _text_in(part: dict[str, Any]) -> str:
    """The text, reasoning, refusal and tool calls of a message or a delta."""
    content = part.get("content")
    if len(part) == 1 and isinstance(content, str):  # as in nearly every chunk of a stream
        return content
    reasoning = part.get("reasoning_content") or part.get("reasoning")  # some send it twice
    said = [one for one in (content, reasoning, part.get("refusal")) if one]
    said += [one for one in (part.get("tool_calls"), part.get("function_call")) if one]
    return "".join(one if isinstance(one, str) else orjson.dumps(one).decode() for one in said)


def is_count(value: object) -> TypeGuard[int]:
    """Whether it can be a number of tokens."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**30
