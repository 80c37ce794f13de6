"""A call of a provider that has a wire of its own: what is sent, and how its answer is read."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import orjson

from gateway.providers import failures
from gateway.providers.connections import CheckedConnections
from gateway.providers.transport import Reader, Transport
from gateway.types import ChatRequest, Target

# What reading an answer of another form than it should be may raise.
_MAKES_NO_SENSE: Final = (KeyError, TypeError, ValueError, AttributeError, IndexError)


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

    def stream(
        self, connections: CheckedConnections, call: Call
    ) -> AsyncGenerator[dict[str, Any], None]:
        """The answer's chunks.  A ProviderFailure before the first, StreamCut after it."""
        reader = call.dialect.reader(call)
        return self._transport.chunks(connections, call.url, call.body, call.headers, reader)


class EventReader(ABC):
    """Reads a stream whose events are JSON objects."""

    is_over = False  # they end with the response

    @property
    @abstractmethod
    def is_whole(self) -> bool:
        """Whether the answer may end here."""

    def read(self, data: bytes) -> list[dict[str, Any]]:
        """The chunks that an event comes to; a ProviderFailure."""
        try:
            return self.chunks_of(_object_in(data))
        except _MAKES_NO_SENSE as error:
            raise failures.rubbish() from error

    def end(self) -> list[dict[str, Any]]:
        """What is left to say once the response has ended."""
        return []

    @abstractmethod
    def chunks_of(self, event: dict[str, Any]) -> list[dict[str, Any]]:
        """The same, of one that has been parsed; whatever it stumbles over is rubbish."""


def arguments_of(value: Any) -> str:
    """A tool's input as OpenAI's clients read it: JSON in a string."""
    return orjson.dumps(value if value is not None else {}).decode()


def chunk_of(delta: dict[str, Any], finish_reason: str | None = None, index: int = 0) -> Any:
    """A chunk of one choice."""
    return {"choices": [{"index": index, "delta": delta, "finish_reason": finish_reason}]}


def _object_in(raw: bytes) -> dict[str, Any]:
    parsed = orjson.loads(raw)
    if not isinstance(parsed, dict):
        raise failures.rubbish()
    return parsed
