"""Providers that speak the OpenAI wire: one pooled connection set, answers passed through."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Any, Final

import aiohttp
import orjson

from gateway.errors import ProviderUnavailable
from gateway.providers import failures, sse
from gateway.providers.translation import Wire, openai_body
from gateway.types import ChatRequest

_LONGEST_ERROR: Final = 64 * 1024
_LONGEST_ANSWER: Final = 64 * 1024 * 1024
_DONE: Final = b"[DONE]"
_READ_ON_SECONDS: Final = 0.1
_NOTHING: Final[dict[str, Any]] = {"choices": []}
# ValueError: an address or a key, out of the environment, that no header can carry.
_BROKEN: Final = (TimeoutError, aiohttp.ClientError, OSError, ValueError)


class OpenAIWire:
    """Calls over one aiohttp session.  `silence` is the longest wait between two reads."""

    def __init__(self, *, connect: float, silence: float) -> None:
        self._timeout = aiohttp.ClientTimeout(total=None, connect=connect, sock_read=silence)
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Makes the session; connections are made when they are needed."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30),
            timeout=self._timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        )

    async def close(self) -> None:
        """Closes every connection."""
        if self._session is not None:
            await self._session.close()

    async def complete(self, wire: Wire, request: ChatRequest) -> dict[str, Any]:
        """The provider's `chat.completion`; a ProviderFailure otherwise."""
        try:
            async with self._post(wire, request) as response:
                if response.status != 200:
                    raise failures.failure_of(response.status, await _some(response))
                raw = await _read(response, _LONGEST_ANSWER)
        except _BROKEN as error:
            raise _failure_of(error) from error
        return _completion(raw)

    async def stream(
        self, wire: Wire, request: ChatRequest
    ) -> AsyncGenerator[dict[str, Any], None]:
        """The provider's chunks.  A ProviderFailure before the first, StreamCut after it."""
        started, last = False, _NOTHING
        try:
            async with self._post(wire, request) as response:
                if response.status != 200:
                    raise failures.failure_of(response.status, await _some(response))
                async with aclosing(sse.event_data(response.content.iter_any())) as events:
                    async for data in events:
                        if data == _DONE:
                            await _read_on(response)
                            return
                        chunk = _chunk(data)
                        yield chunk
                        started, last = True, chunk if chunk["choices"] else last
        except ProviderUnavailable as failure:
            raise failures.cut_off(failure) if started else failure from failure.__cause__
        except _BROKEN as error:
            broken = _failure_of(error)
            raise (failures.cut_off(broken) if started else broken) from error
        if not _finishes(last):  # and it did not say that it was done, either
            raise failures.cut_off(failures.rubbish()) if started else failures.rubbish()

    def _post(self, wire: Wire, request: ChatRequest) -> Any:
        if self._session is None:
            raise RuntimeError("the provider session is not open")
        return self._session.post(
            wire.url,
            data=openai_body(wire, request),
            headers=wire.headers,
            allow_redirects=False,
        )


def _failure_of(error: Exception) -> ProviderUnavailable:
    if isinstance(error, TimeoutError):
        return failures.timed_out()
    if isinstance(error, aiohttp.ClientError | OSError):
        return failures.unreachable()
    return failures.misconfigured()


def _completion(raw: bytes) -> dict[str, Any]:
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise failures.rubbish() from error
    if not isinstance(body, dict) or not _are_choices(body.get("choices"), "message"):
        raise failures.rubbish()
    return body


def _chunk(data: bytes) -> dict[str, Any]:
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise failures.rubbish() from error
    if not isinstance(body, dict):
        raise failures.rubbish()
    if body.get("error"):
        raise failures.failure_of(500, data)
    body["choices"] = body.get("choices") or []  # some leave it out of what reports the usage
    if body["choices"] and not _are_choices(body["choices"], "delta"):
        raise failures.rubbish()
    return body


def _are_choices(choices: object, part: str) -> bool:
    return (
        isinstance(choices, list)
        and bool(choices)
        and all(isinstance(one, dict) and isinstance(one.get(part), dict) for one in choices)
    )


def _finishes(chunk: dict[str, Any]) -> bool:
    return any(choice.get("finish_reason") for choice in chunk["choices"])


async def _read_on(response: aiohttp.ClientResponse) -> None:
    """To the end of the response, which follows at once: only then is the connection kept."""
    with suppress(TimeoutError, aiohttp.ClientError):
        async with asyncio.timeout(_READ_ON_SECONDS):
            await response.content.read()


async def _some(response: aiohttp.ClientResponse) -> bytes:
    """The beginning of an error's body, without waiting for long ones."""
    async with asyncio.timeout(5):
        return await _read(response, _LONGEST_ERROR)


async def _read(response: aiohttp.ClientResponse, longest: int) -> bytes:
    """The body up to so many bytes."""
    parts, left = list[bytes](), longest
    while left and (part := await response.content.read(left)):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)
