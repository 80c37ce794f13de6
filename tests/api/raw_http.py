"""HTTP by hand, for what no client library would send."""

import asyncio
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit


class RawConnection:
    """One connection to the API.  Use it as an async context manager."""

    def __init__(self, address: str) -> None:
        self._address = urlsplit(address)
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection(
            self._address.hostname, self._address.port
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.hang_up()

    async def send(self, head: list[str], body: bytes = b"") -> None:
        """Sends a request line and header lines, and this much of a body."""
        lines = [head[0], "host: api", *head[1:], "", ""]
        self._writer.write("\r\n".join(lines).encode("latin-1") + body)
        await self._writer.drain()

    async def post(self, path: str, headers: dict[str, str], body: bytes) -> None:
        """Sends a whole POST."""
        lines = [f"{name}: {value}" for name, value in headers.items()]
        await self.send([f"POST {path} HTTP/1.1", *lines, f"content-length: {len(body)}"], body)

    async def response(self) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of the next response, which has a Content-Length."""
        async with asyncio.timeout(10):
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            status_line, *lines = head.rstrip().split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in lines)
            body = await self._reader.readexactly(int(headers.get("content-length", 0)))
        return int(status_line.split()[1]), headers, body

    async def read_until(self, ending: bytes) -> bytes:
        """Everything up to these bytes."""
        async with asyncio.timeout(10):
            return await self._reader.readuntil(ending)

    async def read_to_end(self) -> bytes:
        """Everything until the server closes."""
        async with asyncio.timeout(10):
            return await self._reader.read()

    def hang_up(self) -> None:
        """Goes away without a word."""
        self._writer.transport.abort()
