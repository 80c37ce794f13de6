"""One function for an answer and one for a stream, whichever way the deployment is called."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from gateway.errors import ProviderUnavailable
from gateway.providers import translation
from gateway.providers.litellm_call import LitellmCall
from gateway.providers.openai_wire import OpenAIWire
from gateway.types import ChatRequest, Target


class Providers:
    """Calls deployments.  One per process."""

    def __init__(self, *, connect: float, silence: float) -> None:
        self._openai_wire = OpenAIWire(connect=connect, silence=silence)
        self._litellm = LitellmCall(silence=silence)

    async def open(self) -> None:
        """Opens the connections' pool and imports litellm."""
        await asyncio.gather(self._openai_wire.open(), translation.warm())

    async def close(self) -> None:
        """Closes the connections."""
        await self._openai_wire.close()

    async def complete(self, target: Target, request: ChatRequest) -> dict[str, Any]:
        """OpenAI's `chat.completion` from this deployment.

        Raises ProviderRejected, where no other deployment need be tried, or ProviderUnavailable.
        """
        wire = _wire_of(target)
        if wire is not None:
            return await self._openai_wire.complete(wire, request)
        return await self._litellm.complete(target, request)

    def stream(self, target: Target, request: ChatRequest) -> AsyncGenerator[dict[str, Any], None]:
        """OpenAI's `chat.completion.chunk`s; raises StreamCut once the first has come."""
        wire = _wire_of(target)
        if wire is not None:
            return self._openai_wire.stream(wire, request)
        return self._litellm.stream(target, request)


def _wire_of(target: Target) -> translation.Wire | None:
    try:
        return translation.wire_of(target)
    except Exception as error:  # a staff-made deployment that litellm can make nothing of
        raise ProviderUnavailable(
            f"The deployment {target.deployment} is misconfigured.", code="provider_misconfigured"
        ) from error
