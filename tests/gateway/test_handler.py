"""The gateway's ASGI entry, between a server and a view."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from pytest_django import Settings

from gateway.api.handler import GatewayHandler
from tests.gateway import handler_views

handler = GatewayHandler("tests.gateway.handler_views")


class Client:
    """The server's side of one exchange: what comes in, and what was sent."""

    def __init__(self, *parts: bytes, leaves: bool = False, reads: int | None = None) -> None:
        self.sent: list[dict[str, Any]] = []
        self._reads = reads  # so many messages, and then no more
        self._parts = [
            {"type": "http.request", "body": part, "more_body": leaves or number < len(parts)}
            for number, part in enumerate(parts, start=1)
        ]
        self._gone = asyncio.Event()
        if leaves:
            self._gone.set()

    async def receive(self) -> dict[str, Any]:
        if self._parts:
            return self._parts.pop(0)
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        if len(self.sent) == self._reads:
            await asyncio.Event().wait()
        self.sent.append(message)

    async def ask(self, path: str, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "query_string": b"",
            "headers": list(headers),
        }
        await handler(scope, self.receive, self.send)

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)


@pytest.fixture(params=[1, 2, 1000], ids=["whole", "halves", "bytes"])
def cut(request: pytest.FixtureRequest) -> Callable[[bytes], list[bytes]]:
    """Cuts a body into so many parts."""
    size = -(-1000 // request.param)
    return lambda body: [body[at : at + size] for at in range(0, len(body), size)]


async def test_a_body_is_whole_in_however_many_parts_it_comes(
    cut: Callable[[bytes], list[bytes]],
) -> None:
    body = bytes(range(250)) * 4
    client = Client(*cut(body))
    await client.ask("/echo")

    assert (client.status, client.body) == (200, body)


async def test_a_body_of_the_limit_is_taken_and_one_byte_more_is_not(settings: Settings) -> None:
    settings.GATEWAY_BODY_BYTES = 1000
    exact, over = Client(b"x" * 600, b"x" * 400), Client(b"x" * 600, b"x" * 401)
    await exact.ask("/echo")
    await over.ask("/echo")

    assert (exact.status, over.status) == (200, 413)


async def test_what_is_too_large_is_read_to_its_end_before_the_answer(settings: Settings) -> None:
    settings.GATEWAY_BODY_BYTES = 10
    client = Client(*[b"x" * 100] * 50)
    await client.ask("/echo")

    assert client.status == 413
    assert client._parts == []


async def test_a_client_that_leaves_within_its_body_is_sent_nothing() -> None:
    client = Client(b"x" * 100, leaves=True)
    await client.ask("/echo")

    assert client.sent == []


async def test_a_view_that_breaks_is_a_500_in_json_that_tells_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = Client(b"")
    await client.ask("/broken")

    assert client.status == 500
    error = json.loads(client.body)["error"]
    assert (error["code"], error["type"]) == ("internal_error", "server_error")
    assert (
        dict(client.sent[0]["headers"])[b"x-request-id"].decode()
        == (error["metadata"]["request_id"])
    )
    assert b"secret" not in client.body
    assert "POST /broken failed" in caplog.text


async def test_what_django_finds_suspicious_is_the_client_s_mistake() -> None:
    client = Client(b"")
    await client.ask("/suspicious")

    assert client.status == 400
    assert json.loads(client.body)["error"]["message"] == "Too many fields."


async def test_a_length_that_is_no_number_is_not_believed() -> None:
    client = Client(b"Hi")
    await client.ask("/echo", ((b"content-length", b"many"),))

    assert (client.status, client.body) == (200, b"Hi")


@pytest.mark.parametrize("messages", [0, 1, 3])
async def test_whoever_stops_reading_is_hung_up_on_after_the_deadline(messages: int) -> None:
    client = Client(b"", reads=messages)
    handler_views.closed.clear()
    async with asyncio.timeout(10):
        await client.ask("/endless")

    # A server closes the connection of a response that has no end.
    assert len(client.sent) == messages
    assert handler_views.closed == (["closed"] if messages else [])
