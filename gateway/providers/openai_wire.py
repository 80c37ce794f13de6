"""Providers that speak the OpenAI wire: answers are passed through."""

from collections.abc import AsyncGenerator
from typing import Any, Final

from gateway.providers import failures
from gateway.providers.connections import CheckedConnections
from gateway.providers.translation import Wire, openai_body
from gateway.providers.transport import Transport, object_in
from gateway.types import ChatRequest

_DONE: Final = b"[DONE]"
_NOTHING: Final[dict[str, Any]] = {"choices": []}


class OpenAIWire:
    """Calls over a transport."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def complete(self, wire: Wire, request: ChatRequest) -> dict[str, Any]:
        """The provider's `chat.completion`; a ProviderFailure otherwise."""
        body = openai_body(wire, request)
        return _completion(await self._transport.answer(wire.url, body, wire.headers))

    def stream(
        self, connections: CheckedConnections, wire: Wire, request: ChatRequest
    ) -> AsyncGenerator[dict[str, Any], None]:
        """The provider's chunks.  A ProviderFailure before the first, StreamCut after it."""
        body = openai_body(wire, request)
        return self._transport.chunks(connections, wire.url, body, wire.headers, _Chunks())


class _Chunks:
    """Reads a stream that has the form of ours already."""

    def __init__(self) -> None:
        self.is_over = False
        self._last = _NOTHING  # of the chunks that have choices

    @property
    def is_whole(self) -> bool:
        """It said so, or the last choice had a reason to end."""
        return self.is_over or any(one.get("finish_reason") for one in self._last["choices"])

    def read(self, data: bytes) -> list[dict[str, Any]]:
        """The chunk as it is."""
        if data == _DONE:
            self.is_over = True
            return []
        chunk = _chunk(data)
        if chunk["choices"]:
            self._last = chunk
        return [chunk]

    def end(self) -> list[dict[str, Any]]:
        """All was handed on as it came."""
        return []


def _completion(raw: bytes) -> dict[str, Any]:
    body = object_in(raw)
    if not _are_choices(body.get("choices"), "message"):
        raise failures.rubbish()
    return body


def _chunk(data: bytes) -> dict[str, Any]:
    body = object_in(data)
    body["choices"] = body.get("choices") or []  # some leave it out of what reports the usage
    if body["choices"] and not _are_choices(body["choices"], "delta"):
        raise failures.rubbish()
    return body


def _are_choices(choices: object, part: str) -> bool:
    if not isinstance(choices, list) or not choices:
        return False
    for one in choices:  # noqa: SIM110  (of every chunk: `all` costs twice as much)
        if not (isinstance(one, dict) and isinstance(one.get(part), dict)):
            return False
    return True
