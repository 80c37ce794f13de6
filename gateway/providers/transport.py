"""How providers are reached: one set of pooled connections, and what is read from them, bounded."""

import asyncio
from contextlib import suppress
from typing import Any, Final

import aiohttp

from gateway.errors import ProviderUnavailable
from gateway.providers import failures

LONGEST_ANSWER: Final = 64 * 1024 * 1024
_LONGEST_ERROR: Final = 64 * 1024
_ERROR_SECONDS: Final = 5.0
_READ_ON_SECONDS: Final = 0.1
# ValueError: an address or a key, out of the environment, that no header can carry.
BROKEN: Final = (TimeoutError, aiohttp.ClientError, OSError, ValueError)


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

    def post(self, url: str, body: bytes, headers: dict[str, str]) -> Any:
        """The response, as a context manager; redirects are not followed."""
        if self._session is None:
            raise RuntimeError("the provider session is not open")
        return self._session.post(url, data=body, headers=headers, allow_redirects=False)

    async def answer(self, url: str, body: bytes, headers: dict[str, str]) -> bytes:
        """A whole answer's bytes; a ProviderFailure otherwise."""
        try:
            async with self.post(url, body, headers) as response:
                await require_ok(response)
                return await _read(response, LONGEST_ANSWER)
        except BROKEN as error:
            raise failure_of(error) from error


async def require_ok(response: aiohttp.ClientResponse) -> None:
    """Raises the ProviderFailure that any other status than 200 stands for."""
    if response.status != 200:
        async with asyncio.timeout(_ERROR_SECONDS):
            said = await _read(response, _LONGEST_ERROR)
        raise failures.failure_of(response.status, said)


async def read_on(response: aiohttp.ClientResponse) -> None:
    """To the end of the response, which follows at once: only then is the connection kept."""
    with suppress(TimeoutError, aiohttp.ClientError):
        async with asyncio.timeout(_READ_ON_SECONDS):
            await response.content.read()


def failure_of(error: Exception) -> ProviderUnavailable:
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
