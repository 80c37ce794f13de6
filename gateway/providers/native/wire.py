"""A call of a provider that has a wire of its own: what is sent, and how its answer is read."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final, Protocol

import orjson

from gateway.errors import ProviderUnavailable
from gateway.providers import failures, sse
from gateway.providers.transport import BROKEN, Transport, failure_of, read_on, require_ok
from gateway.types import ChatRequest, Target

# What reading an answer of another form than it should be may raise.
_MAKES_NO_SENSE: Final = (KeyError, TypeError, ValueError, AttributeError, IndexError)


class Reader(Protocol):
    """Reads one stream's events, in order."""

    @property
    def is_whole(self) -> bool:
        """Whether the answer has ended as it should."""

    def read(self, event: dict[str, Any]) -> list[dict[str, Any]]:
        """The `chat.completion.chunk`s that an event comes to; a ProviderFailure."""


class Dialect(Protocol):
    """One provider's wire."""

    def call(self, target: Target, request: ChatRequest) -> "Call":
        """What is sent; whatever litellm stumbles over is raised as it is."""

    def completion(self, answer: dict[str, Any], call: "Call") -> dict[str, Any]:
        """A `chat.completion` out of a whole answer; a ProviderFailure."""

    def reader(self, call: "Call") -> Reader:
        """For one stream."""


@dataclass(frozen=True, slots=True)
class Call:
    """What is sent, and what the answer must be read with."""

    dialect: Dialect
    url: str
    headers: dict[str, str]
    body: bytes
    tool_names: Mapping[str, str]  # of those that had to be renamed: the caller's by the provider's
    json_tool: str = ""  # the tool that stands for a JSON answer, where it is asked for so


class NativeWire:
    """Calls over a transport."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def complete(self, call: Call) -> dict[str, Any]:
        """The answer as a `chat.completion`; a ProviderFailure otherwise."""
        raw = await self._transport.answer(call.url, call.body, call.headers)
        try:
            return call.dialect.completion(_object_in(raw), call)
        except _MAKES_NO_SENSE as error:
            raise failures.rubbish() from error

    async def stream(self, call: Call) -> AsyncGenerator[dict[str, Any], None]:
        """The answer's chunks.  A ProviderFailure before the first, StreamCut after it."""
        started, reader = False, call.dialect.reader(call)
        try:
            async with self._transport.post(call.url, call.body, call.headers) as response:
                await require_ok(response)
                async with aclosing(sse.event_data(response.content.iter_any())) as events:
                    async for data in events:
                        for chunk in _read(reader, data):
                            yield chunk
                            started = True
                await read_on(response)
        except ProviderUnavailable as failure:
            raise failures.cut_off(failure) if started else failure from failure.__cause__
        except BROKEN as error:
            broken = failure_of(error)
            raise (failures.cut_off(broken) if started else broken) from error
        if not reader.is_whole:
            raise failures.cut_off(failures.rubbish()) if started else failures.rubbish()


def arguments_of(value: Any) -> str:
    """A tool's input as OpenAI's clients read it: JSON in a string."""
    return orjson.dumps(value if value is not None else {}).decode()


def chunk_of(delta: dict[str, Any], finish_reason: str | None = None, index: int = 0) -> Any:
    """A chunk of one choice."""
    return {"choices": [{"index": index, "delta": delta, "finish_reason": finish_reason}]}


def usage_of(prompt: int, completion: int, *, cached: int = 0, reasoning: int = 0) -> Any:
    """OpenAI's `usage`."""
    usage: dict[str, Any] = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached},
    }
    if reasoning:
        usage["completion_tokens_details"] = {"reasoning_tokens": reasoning}
    return usage


def _read(reader: Reader, data: bytes) -> list[dict[str, Any]]:
    try:
        return reader.read(_object_in(data))
    except _MAKES_NO_SENSE as error:
        raise failures.rubbish() from error


def _object_in(raw: bytes) -> dict[str, Any]:
    parsed = orjson.loads(raw)
    if not isinstance(parsed, dict):
        raise failures.rubbish()
    return parsed
