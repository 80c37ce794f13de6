"""Providers that speak the OpenAI wire: one pooled connection set, answers passed through."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
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
        except TimeoutError as error:
            raise failures.timed_out() from error
        except (aiohttp.ClientError, OSError) as error:
            raise failures.unreachable() from error
        return _completion(raw)

    async def stream(
        self, wire: Wire, request: ChatRequest
    ) -> AsyncGenerator[dict[str, Any], None]:
        """The provider's chunks.  A ProviderFailure before the first, StreamCut after it."""
        started = False
        try:
            async with self._post(wire, request) as response:
                if response.status != 200:
                    raise failures.failure_of(response.status, await _some(response))
                async with aclosing(sse.event_data(response.content.iter_any())) as events:
                    async for data in events:
                        if data == _DONE:
                            return
                        yield _chunk(data)
                        started = True
        except ProviderUnavailable as failure:
            raise failures.cut_off(failure) if started else failure from failure.__cause__
        except TimeoutError as error:
            raise (
                failures.cut_off(failures.timed_out()) if started else failures.timed_out()
            ) from error
        except (aiohttp.ClientError, OSError) as error:
            raise (
                failures.cut_off(failures.unreachable()) if started else failures.unreachable()
            ) from error
        # It ended without saying that it was done.
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
