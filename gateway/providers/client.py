"""One function for an answer and one for a stream, whichever way the deployment is called."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, Final

from gateway.errors import ProviderUnavailable
from gateway.providers import failures, translation
from gateway.providers.connections import CheckedConnections
from gateway.providers.embeddings import Embeddings
from gateway.providers.litellm_call import LitellmCall, refuse_remote_attachments
from gateway.providers.native.anthropic import Anthropic
from gateway.providers.native.gemini import Gemini
from gateway.providers.native.wire import Call, Dialect, NativeWire
from gateway.providers.openai_wire import OpenAIWire
from gateway.providers.reachability import Reachability, objection_to_form
from gateway.providers.transport import Transport
from gateway.types import ChatRequest, EmbeddingRequest, Target

_PUBLIC_ONLY: Final = Reachability()

DIALECTS: Final[dict[str, Dialect]] = {"anthropic": Anthropic(), "gemini": Gemini()}
"""Of the providers whose wire is their own and is read here, by litellm's names."""


class Providers:
    """Calls deployments, at public addresses and those that are allowed.  One per process."""

    def __init__(
        self, *, connect: float, silence: float, reachability: Reachability = _PUBLIC_ONLY
    ) -> None:
        self._transport = Transport(connect=connect, silence=silence)
        self._openai_wire = OpenAIWire(self._transport)
        self._native_wire = NativeWire(self._transport)
        self._litellm = LitellmCall(silence=silence)
        self._embeddings = Embeddings(self._transport)
        self._reachability = reachability

    async def open(self) -> None:
        """Opens the connections' pool and imports litellm."""
        await asyncio.gather(self._transport.open(), translation.warm())

    async def close(self) -> None:
        """Closes the connections."""
        await self._transport.close()

    async def complete(self, target: Target, request: ChatRequest) -> dict[str, Any]:
        """OpenAI's `chat.completion` from this deployment.

        Raises ProviderRejected, where no other deployment need be tried, or ProviderUnavailable.
        """
        with CheckedConnections(target, self._reachability):
            if target.provider in DIALECTS:
                return await self._native_wire.complete(_native_call(target, request))
            wire = _wire_of(target)
            if wire is not None:
                return await self._openai_wire.complete(wire, request)
            return await self._litellm.complete(target, request)

    async def embed(self, target: Target, request: EmbeddingRequest) -> dict[str, Any]:
        """A vector for each text, as `Embeddings` gives them.  Errors as `complete`'s."""
        with CheckedConnections(target, self._reachability):
            if target.provider == "gemini":
                _require_form(target)
                return await self._embeddings.of_gemini(target, request)
            wire = _wire_of(target)
            if wire is None:
                raise failures.gives_no_embeddings()
            return await self._embeddings.over_openai_wire(wire, target, request)

    def stream(self, target: Target, request: ChatRequest) -> AsyncGenerator[dict[str, Any], None]:
        """OpenAI's `chat.completion.chunk`s; raises StreamCut once the first has come.

        What can't be put to this deployment is raised at once, all else while it is read.
        """
        connections = CheckedConnections(target, self._reachability)
        with connections:  # nor may litellm's classes connect elsewhere while they translate
            if target.provider in DIALECTS:
                return self._native_wire.stream(connections, _native_call(target, request))
            wire = _wire_of(target)
            if wire is not None:
                return self._openai_wire.stream(connections, wire, request)
            return self._litellm.stream(connections, target, request)


def _native_call(target: Target, request: ChatRequest) -> Call:
    """What is sent to a provider with a wire of its own.

    InvalidRequest or ProviderUnavailable for what can't be put into its form.
    """
    _require_form(target)
    refuse_remote_attachments(request)
    try:
        return DIALECTS[target.provider].call(target, request)
    except Exception as error:  # litellm's classes raise what they happen to meet
        raise translation.failure_to_translate(error, target.provider) from error


def _require_form(target: Target) -> None:
    if target.base_url is not None and objection_to_form(target.base_url):
        raise failures.misconfigured()


def _wire_of(target: Target) -> translation.Wire | None:
    _require_form(target)
    try:
        return translation.wire_of(target)
    except Exception as error:  # a staff-made deployment that litellm can make nothing of
        raise ProviderUnavailable(
            f"The deployment {target.deployment} is misconfigured.", code="provider_misconfigured"
        ) from error
