"""What tests need of whoever calls providers: our own way, or litellm's."""

from collections.abc import AsyncIterator
from typing import Any, Protocol

from gateway.types import ChatRequest, Target


class Calls(Protocol):
    """Whoever calls providers."""

    async def complete(self, target: Target, request: ChatRequest) -> dict[str, Any]:
        """A whole answer."""

    def stream(self, target: Target, request: ChatRequest) -> AsyncIterator[dict[str, Any]]:
        """An answer's chunks."""
