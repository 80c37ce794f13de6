"""How providers are reached: one set of pooled connections, and what is read from them, bounded."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any, Final, Protocol

import aiohttp
import orjson

from gateway.errors import ProviderFailure, ProviderUnavailable
from gateway.providers import failures
from gateway.providers.connections import CheckedConnections
from gateway.providers.sse import EventData

_LONGEST_ANSWER: Final = 64 * 1024 * 1024
_LONGEST_ERROR: Final = 64 * 1024
_ERROR_SECONDS: Final = 5.0
_READ_ON_SECONDS: Final = 0.1
# ValueError: an address or a key, out of the environment, that no header can carry.
_BROKEN: Final = (TimeoutError, aiohttp.ClientError, OSError, ValueError)


class Reader(Protocol):
    """Reads one stream's events, in order."""

    @property
    def is_over(self) -> bool:
        """Whether nothing is to come any more."""

    @property
    def is_whole(self) -> bool:
        """Whether the answer may end here."""

    def read(self, data: bytes) -> list[dict[str, Any]]:
        """The `chat.completion.chunk`s that an event comes to; a ProviderFailure."""

    def end(self) -> list[dict[str, Any]]:
        """What is left to say once a whole answer's response has ended."""


class Transport:
    """One aiohttp session.  `silence` is the longest wait between two reads, in seconds."""

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

    async def _post(self, url: str, body: bytes, headers: dict[str, str]) -> aiohttp.ClientResponse:
        """The response, to be closed; redirects are not followed.  A ProviderUnavailable."""
        if self._session is None:
            raise RuntimeError("the provider session is not open")
        try:
            return await self._session.post(url, data=body, headers=headers, allow_redirects=False)
        except _BROKEN as error:
            raise _failure_of(error) from error

    async def answer(self, url: str, body: bytes, headers: dict[str, str]) -> bytes:
        """A whole answer's bytes; a ProviderFailure otherwise."""
        try:
            async with await self._post(url, body, headers) as response:
                await _require_ok(response)
                return await _read(response, _LONGEST_ANSWER)
        except _BROKEN as error:
            raise _failure_of(error) from error

    async def chunks(
        self,
        connections: CheckedConnections,
        url: str,
        body: bytes,
        headers: dict[str, str],
        reader: Reader,
    ) -> AsyncGenerator[dict[str, Any], None]:
        """A stream's chunks, as `reader` makes them of its events.

        A ProviderFailure before the first, StreamCut after it; also where the end is missing.
        """
        started = False
        try:
            with connections:
                response = await self._post(url, body, headers)
            async with response:
                await _require_ok(response)
                events = EventData()
                while part := await response.content.readany():
                    for data in events.of(part):
                        for chunk in reader.read(data):
                            yield chunk
                            started = True
                        if reader.is_over:
                            break
                    if reader.is_over:
                        break
                await _read_on(response)
        except ProviderFailure as failure:
            raise failures.cut_off(failure) if started else failure from failure.__cause__
        except _BROKEN as error:
            broken = _failure_of(error)
            raise (failures.cut_off(broken) if started else broken) from error
        if not reader.is_whole:
            raise failures.cut_off(failures.rubbish()) if started else failures.rubbish()
        for chunk in reader.end():
            yield chunk


def object_in(raw: bytes) -> dict[str, Any]:
    """The JSON object of an answer on OpenAI's wire or like it; the ProviderFailure that it is.

    OpenRouter says what went wrong after it had begun in an answer of status 200.
    """
    try:
        answer = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise failures.rubbish() from error
    if not isinstance(answer, dict):
        raise failures.rubbish()
    if answer.get("error"):
        raise failures.failure_in(answer)
    return answer


async def _require_ok(response: aiohttp.ClientResponse) -> None:
    """Raises the ProviderFailure that any other status than 200 stands for."""
    if response.status != 200:
        async with asyncio.timeout(_ERROR_SECONDS):
            said = await _read(response, _LONGEST_ERROR)
        raise failures.failure_of(response.status, said, response.headers)


async def _read_on(response: aiohttp.ClientResponse) -> None:
    """To the end of the response, which follows at once: only then is the connection kept."""
    with suppress(TimeoutError, aiohttp.ClientError):
        async with asyncio.timeout(_READ_ON_SECONDS):
            await response.content.read()


def _failure_of(error: Exception) -> ProviderUnavailable:
    """What broke, as our error."""
    if isinstance(error, TimeoutError):
        return failures.timed_out()
    if isinstance(error, aiohttp.ClientError | OSError):
        return failures.unreachable()
    return failures.misconfigured()


async def _read(response: aiohttp.ClientResponse, longest: int) -> bytes:
    """The body up to so many bytes."""
    parts, left = list[bytes](), longest
    while left and (part := await response.content.read(left)):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)
