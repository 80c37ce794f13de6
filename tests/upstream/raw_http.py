"""HTTP by hand over a socket: what the double's own tests look at is what is on the wire."""

import json
import socket
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from tests.upstream.script import marker


def chat(text: str = "Say something.", *, stream: bool = False, **fields: Any) -> dict[str, Any]:
    """A chat request body with one user message."""
    body = {"model": "double-small", "messages": [{"role": "user", "content": text}], **fields}
    if stream:
        body["stream"] = True
    return body


def scripted(*, stream: bool = False, fields: Any = None, **settings: object) -> dict[str, Any]:
    """A chat request body whose message carries this script."""
    return chat("Say something. " + marker(**settings), stream=stream, **(fields or {}))


class RawExchange:
    """One request on one connection, and whatever comes back, byte for byte."""

    def __init__(self, base_url: str, body: dict[str, Any], key: str = "sk-test") -> None:
        address = urlsplit(base_url)
        self.socket = socket.create_connection((address.hostname, address.port), timeout=10)
        payload = json.dumps(body).encode()
        self.socket.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: double\r\n"
            b"content-type: application/json\r\nauthorization: Bearer %b\r\n"
            b"content-length: %d\r\n\r\n%b" % (key.encode(), len(payload), payload)
        )
        self.received = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.socket.close()

    def reads(self) -> Iterator[bytes]:
        """Each read from the socket until the other side closes."""
        while piece := self.socket.recv(65536):
            self.received += piece
            yield piece

    def read_until(self, ending: bytes) -> bytes:
        """Everything up to these bytes. Raises EOFError when the connection closes first."""
        if ending in self.received:
            return self.received
        for _ in self.reads():
            if ending in self.received:
                return self.received
        raise EOFError(f"Closed after {self.received!r}")

    def read_to_end(self) -> bytes:
        """Everything until the other side closes."""
        for _ in self.reads():
            pass
        return self.received


def head_of(response: bytes) -> tuple[int, dict[str, str]]:
    """Status and headers, names in lower case."""
    lines = response.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:])
    return int(lines[0].split()[1]), headers


def body_of(response: bytes) -> bytes:
    """The body, with the chunked framing taken off."""
    _, headers = head_of(response)
    body = response.partition(b"\r\n\r\n")[2]
    if "transfer-encoding" not in headers:
        return body
    whole = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        whole += body[: int(size, 16)]
        body = body[int(size, 16) + 2 :]
    return whole


def events_of(response: bytes) -> list[str]:
    """The data of each server-sent event."""
    events = body_of(response).decode().split("\n\n")
    return [event.removeprefix("data: ") for event in events if event]
