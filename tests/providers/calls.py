"""What tests need of whoever calls providers: our own way, or litellm's."""

from collections.abc import AsyncIterator
from typing import Any, Protocol

from gateway.providers.connections import CheckedConnections
from gateway.providers.litellm_call import LitellmCall
from gateway.providers.reachability import Reachability
from gateway.types import ChatRequest, Target


class Calls(Protocol):
    """Whoever calls providers."""

    async def complete(self, target: Target, request: ChatRequest) -> dict[str, Any]:
        """A whole answer."""

    def stream(self, target: Target, request: ChatRequest) -> AsyncIterator[dict[str, Any]]:
        """An answer's chunks."""


class ByLitellm:
    """The way by litellm itself, for every provider."""

    def __init__(self, silence: float, reachability: Reachability) -> None:
        self._call = LitellmCall(silence=silence)
        self._reachability = reachability

    async def complete(self, target: Target, request: ChatRequest) -> dict[str, Any]:
        """A whole answer."""
        with CheckedConnections(target, self._reachability):
            return await self._call.complete(target, request)

    def stream(self, target: Target, request: ChatRequest) -> AsyncIterator[dict[str, Any]]:
        """An answer's chunks."""
        connections = CheckedConnections(target, self._reachability)
        return self._call.stream(connections, target, request)
