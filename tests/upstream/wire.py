"""The double's HTTP/1.1 connection: httptools over a bare asyncio protocol.

A framework would cost more CPU than the gateway under measurement, with which the double shares
two cores.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, TypeAlias, cast

import httptools

JSON: Final = b"application/json"
EVENT_STREAM: Final = b"text/event-stream; charset=utf-8"
# Marks the end of a chunked body.
LAST_CHUNK: Final = b"0\r\n\r\n"
_REASONS: Final[Mapping[int, bytes]] = {
    status.value: status.phrase.encode("ascii") for status in HTTPStatus
}


@dataclass(frozen=True, slots=True)
class Request:
    """One whole HTTP request."""

    method: str
    path: str
    authorization: str
    body: bytes


Handler: TypeAlias = Callable[[Request, "Connection"], None]


def status_line(status: int) -> bytes:
    """The first line of a response."""
    return b"HTTP/1.1 %d %b\r\n" % (status, _REASONS[status])


def chunk(payload: bytes) -> bytes:
    """The payload as one chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(payload), payload)


class Connection(asyncio.Protocol):
    """Reads requests and hands each whole one to the handler; writes what the handler says.

    One request at a time: a client that pipelines is cut off.
    """

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._parser = httptools.HttpRequestParser(self)
        self._task: asyncio.Task[None] | None = None
        self._url = b""
        self._authorization = b""
        self._body: list[bytes] = []
        self.transport: asyncio.Transport

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._task:
            self._task.cancel()

    # What httptools calls.

    def on_message_begin(self) -> None:
        self._url, self._authorization, self._body = b"", b"", []

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"authorization":
            self._authorization = value
        elif name.lower() == b"expect":
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        if self._task and not self._task.done():
            self.transport.abort()
            return
        request = Request(
            method=self._parser.get_method().decode("ascii"),
            path=httptools.parse_url(self._url).path.decode("ascii"),
            authorization=self._authorization.decode("latin-1"),
            body=b"".join(self._body),
        )
        self._handler(request, self)

    # What the handler calls.

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Answer from a task, which is cancelled when the client hangs up."""
        self._task = asyncio.get_running_loop().create_task(work)

    def respond(
        self, status: int, body: bytes, content_type: bytes = JSON, extra: bytes = b""
    ) -> None:
        """Write a whole response. `extra` is further header lines, each with its CRLF."""
        self.transport.write(
            b"%bcontent-type: %b\r\ncontent-length: %d\r\n%b\r\n%b"
            % (status_line(status), content_type, len(body), extra, body)
        )
