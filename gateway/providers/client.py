"""One function for an answer and one for a stream, whichever way the deployment is called."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Final

from gateway.errors import ProviderUnavailable
from gateway.providers import failures, translation
from gateway.providers.connections import CheckedConnections
from gateway.providers.litellm_call import LitellmCall
from gateway.providers.openai_wire import OpenAIWire
from gateway.providers.reachability import Reachability, objection_to_form
from gateway.types import ChatRequest, Target

_PUBLIC_ONLY: Final = Reachability()


class Providers:
    """Calls deployments, at public addresses and those that are allowed.  One per process."""

    def __init__(
        self, *, connect: float, silence: float, reachability: Reachability = _PUBLIC_ONLY
    ) -> None:
        self._openai_wire = OpenAIWire(connect=connect, silence=silence)
        self._litellm = LitellmCall(silence=silence)
        self._reachability = reachability

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
        connections = CheckedConnections(target, self._reachability)
        try:
            with connections:
                wire = _wire_of(target)
                if wire is not None:
                    return await self._openai_wire.complete(wire, request)
                return await self._litellm.complete(target, request)
        except ProviderUnavailable as failure:
            raise _for_the_address(failure, connections) from failure.__cause__

    async def stream(
        self, target: Target, request: ChatRequest
    ) -> AsyncGenerator[dict[str, Any], None]:
        """OpenAI's `chat.completion.chunk`s; raises StreamCut once the first has come."""
        connections = CheckedConnections(target, self._reachability)
        with connections:
            wire = _wire_of(target)
        if wire is not None:
            chunks = self._openai_wire.stream(wire, request)
        else:
            chunks = self._litellm.stream(target, request)
        async with aclosing(chunks):
            while True:
                try:
                    with connections:  # not while whoever reads this does something else
                        chunk = await anext(chunks)
                except StopAsyncIteration:
                    return
                except ProviderUnavailable as failure:
                    raise _for_the_address(failure, connections) from failure.__cause__
                yield chunk


def _wire_of(target: Target) -> translation.Wire | None:
    if target.base_url is not None and objection_to_form(target.base_url):
        raise failures.misconfigured()
    try:
        return translation.wire_of(target)
    except Exception as error:  # a staff-made deployment that litellm can make nothing of
        raise ProviderUnavailable(
            f"The deployment {target.deployment} is misconfigured.", code="provider_misconfigured"
        ) from error


def _for_the_address(
    failure: ProviderUnavailable, connections: CheckedConnections
) -> ProviderUnavailable:
    """The failure, as what it is where its address was refused.

    aiohttp, litellm and the libraries under it all make something else of the refusal.
    """
    return failures.private_address() if connections.refused else failure
