"""A load client's HTTP/1.1 connection, lean enough never to be what is measured."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self, cast
from urllib.parse import urlsplit

import httptools
import orjson


@dataclass(slots=True)
class Reply:
    """What came back for one request. Times are of the monotonic clock, in seconds."""

    started: float
    first_byte: float = 0.0
    """When the first byte of the body came; 0 if none did."""
    ended: float = 0.0
    status: int = 0
    """0 when the connection closed before a status line."""
    headers: dict[str, str] = field(default_factory=dict)
    """Names in lower case."""
    body: bytes = b""
    whole: bool = False
    """False when either side closed before the end."""

    @property
    def seconds(self) -> float:
        """From the request's first byte to the reply's last."""
        return self.ended - self.started

    def json(self) -> Any:
        """The body parsed. Raises orjson.JSONDecodeError."""
        return orjson.loads(self.body)

    def events(self) -> list[Any]:
        """The parsed data of each server-sent event, the final [DONE] left out."""
        data = [
            event.removeprefix(b"data: ")
            for event in self.body.split(b"\n\n")
            if event.startswith(b"data: ")
        ]
        return [orjson.loads(event) for event in data if event != b"[DONE]"]


class LoadConnection(asyncio.Protocol):
    """One keep-alive connection, one request at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport
        self._parser = httptools.HttpResponseParser(self)
        self._reply = Reply(started=0.0)
        self._answered: asyncio.Future[Reply] | None = None
        self._hang_up_at = b""
        self.open = False

    @classmethod
    async def to(cls, base_url: str) -> Self:
        """Connect to the URL's host and port. Raises OSError."""
        address = urlsplit(base_url)
        _, protocol = await asyncio.get_running_loop().create_connection(
            cls, address.hostname or "", address.port or 80
        )
        return protocol

    async def exchange(self, request: bytes, *, hang_up_at: bytes = b"") -> Reply:
        """Send one request and give the reply once it ended, whichever side ended it.

        With `hang_up_at`, close the connection as soon as the body contains these bytes.
        """
        self._reply = Reply(started=time.monotonic())
        self._hang_up_at = hang_up_at
        self._answered = asyncio.get_running_loop().create_future()
        if self.open:
            self._transport.write(request)
        else:
            self._finish()
        return await self._answered

    def close(self) -> None:
        """Hang up; a reply that is awaited ends as not whole."""
        self._transport.abort()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.open = True

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)
        if self._hang_up_at and self._hang_up_at in self._reply.body:
            self._transport.abort()

    def connection_lost(self, _: Exception | None) -> None:
        self.open = False
        self._finish()

    # What httptools calls.

    def on_header(self, name: bytes, value: bytes) -> None:
        self._reply.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self._reply.status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        if not self._reply.body:
            self._reply.first_byte = time.monotonic()
        self._reply.body += body

    def on_message_complete(self) -> None:
        self._reply.whole = True
        if not self._parser.should_keep_alive():
            self._transport.close()
            self.open = False
        self._finish()

    def _finish(self) -> None:
        if self._answered and not self._answered.done():
            self._reply.ended = time.monotonic()
            self._answered.set_result(self._reply)


_HEAD: Final = (
    b"POST %b HTTP/1.1\r\nhost: %b\r\nauthorization: Bearer %b\r\n"
    b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
)


def post_request(url: str, body: Mapping[str, Any], token: str = "") -> bytes:
    """The bytes of a POST of JSON with a bearer token."""
    address = urlsplit(url)
    payload = orjson.dumps(body)
    host, path = address.netloc.encode(), address.path.encode()
    return _HEAD % (path, host, token.encode(), len(payload), payload)


def chat_request(base_url: str, token: str, body: Mapping[str, Any]) -> bytes:
    """The bytes of a chat completion request to a base URL that ends in /v1."""
    return post_request(f"{base_url}/chat/completions", body, token)
