"""Providers that do not speak the OpenAI wire: through `litellm.acompletion`."""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import Any, Final

from gateway.errors import InvalidRequest, ProviderFailure
from gateway.providers import failures
from gateway.providers.connections import CheckedConnections
from gateway.providers.translation import library, messages_of, parameters_of
from gateway.types import ChatRequest, Target

# Given no key, litellm takes one from the environment, and would send it to whatever address
# staff have given the deployment.
_NO_KEY: Final = "none"

# Streamed, they are called by a client of httpx's own, which under uvloop connects in C, where no
# hook hears of it (connections.py).  They continue texts, and know no chat.
_UNCHECKED: Final = frozenset({"text-completion-openai", "text-completion-inception"})

# They sign tool calls, and want the signatures back.
_SIGNING: Final = frozenset({"gemini", "vertex_ai", "vertex_ai_beta"})


_NETWORKING: Final = frozenset(
    {"aiohttp", "botocore", "httpcore", "httpx", "requests", "urllib3", "openai"}
)


class LitellmCall:
    """Calls by litellm, with our timeouts and without its retries."""

    def __init__(self, *, silence: float) -> None:
        self._silence = silence

    async def complete(self, target: Target, request: ChatRequest) -> dict[str, Any]:
        """The answer as a `chat.completion`; a ProviderFailure otherwise."""
        answer = await self._call(target, request)
        body: dict[str, Any] = answer.model_dump(exclude_none=True)
        for choice in body.get("choices", ()):
            choice["message"].setdefault("content", None)
        return body

    async def stream(
        self, connections: CheckedConnections, target: Target, request: ChatRequest
    ) -> AsyncGenerator[dict[str, Any], None]:
        """The answer's chunks.  A ProviderFailure before the first, StreamCut after it."""
        started = says = False
        with connections:
            answer = await self._call(target, request)
        async with aclosing(answer) as chunks:
            while True:
                try:
                    with connections:
                        chunk = await self._next(chunks, request)
                except ProviderFailure as failure:
                    raise (failures.cut_off(failure) if started else failure) from failure.__cause__
                if chunk is None:
                    break
                says = says or _says_something(chunk)
                yield chunk
                started = True
        if not says:  # litellm passes over what it can't read, and ends as if all were well
            raise failures.rubbish()

    async def _next(
        self, chunks: AsyncGenerator[Any, None], request: ChatRequest
    ) -> dict[str, Any] | None:
        """The next chunk, None after the last; a ProviderFailure."""
        try:
            async with asyncio.timeout(self._silence):
                chunk = await anext(chunks, None)
            return None if chunk is None else chunk.model_dump(exclude_none=True)
        except Exception as error:  # as in `_call`
            raise _failure(error, request) from error

    async def _call(self, target: Target, request: ChatRequest) -> Any:
        refuse_remote_attachments(request)
        if target.provider in _UNCHECKED:
            raise failures.misconfigured()
        try:
            async with asyncio.timeout(self._silence):  # not all of its providers heed theirs
                return await library().acompletion(
                    model=f"{target.provider}/{target.upstream_model}",
                    messages=messages_of(request, signed=target.provider in _SIGNING),
                    api_base=target.base_url,
                    api_key=target.api_key or _NO_KEY,
                    timeout=self._silence,
                    num_retries=0,
                    max_retries=0,
                    _skip_mcp_handler=True,  # else tools make litellm import its proxy
                    **parameters_of(request),
                )
        except Exception as error:  # litellm raises what its providers' libraries raise, too
            raise _failure(error, request) from error


def _failure(error: Exception, request: ChatRequest) -> ProviderFailure:
    litellm = library()
    if isinstance(error, TimeoutError | litellm.Timeout):
        return failures.timed_out()
    chain = [*_behind(error)]
    if unread := [one for one in chain if isinstance(one, json.JSONDecodeError)]:
        theirs = all(one.doc in _arguments_in(request) for one in unread)
        return failures.untranslatable() if theirs else failures.rubbish()
    # litellm finds statuses in texts: an object's address with 403 in it is "permission denied".
    causes = [one for one in chain if _module_of(one) != "litellm"]
    if any(isinstance(one, OSError) for one in causes) and not any(map(_has_response, causes)):
        return failures.unreachable()
    if isinstance(error, litellm.APIConnectionError):  # says so of whatever it stumbles over
        of_the_network = any(_module_of(one) in _NETWORKING for one in causes)
        return failures.unreachable() if of_the_network else failures.untranslatable()
    # litellm makes a 500 of a 503, and forgets a stream's headers: the response itself goes first.
    for one in reversed(chain):
        response = getattr(one, "response", None)
        status = getattr(response, "status_code", None) or getattr(one, "status_code", None)
        if isinstance(status, int):
            headers = getattr(response, "headers", None)
            return failures.failure_of(status, _body_in(str(error)), headers)
    return failures.rubbish()


def _behind(error: BaseException | None) -> Iterator[BaseException]:
    """An error and all that it came of."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _says_something(chunk: dict[str, Any]) -> bool:
    """Whether a chunk has anything in it that came from the provider."""
    deltas = (choice.get("delta") or {} for choice in chunk.get("choices") or ())
    said = ("content", "reasoning_content", "tool_calls", "refusal")
    return bool(chunk.get("usage")) or any(delta.get(one) for delta in deltas for one in said)


def _arguments_in(request: ChatRequest) -> set[str]:
    """What tools were called with, as the caller's messages have it: JSON, or meant to be."""
    calls = (call for message in request.messages for call in message.get("tool_calls") or ())
    return {call["function"]["arguments"] for call in calls}


def _has_response(error: BaseException) -> bool:
    return getattr(error, "response", None) is not None


def _module_of(error: BaseException) -> str:
    return type(error).__module__.partition(".")[0]


def _body_in(said: str) -> bytes:
    """The provider's own error body, which litellm quotes behind the names of its classes."""
    return said[said.find("{") : said.rfind("}") + 1].encode()


def refuse_remote_attachments(request: ChatRequest) -> None:
    """Refuses what litellm would fetch from here, for providers that take only inline data."""
    for message in request.messages:
        content = message.get("content")
        for part in content if isinstance(content, list) else []:
            address = part.get("image_url", "")
            address = address.get("url", "") if isinstance(address, dict) else address
            if address and not str(address).startswith("data:"):
                raise InvalidRequest(
                    "This model takes images as data: URLs only.",
                    code="unsupported_image_url",
                    param="messages",
                )
