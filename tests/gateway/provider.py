"""A stand-in for a provider on the OpenAI wire, for what the double never says."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from aiohttp import web

from gateway.providers.client import Providers
from gateway.types import ChatRequest, Target

ANSWER: Final = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}}]}
CHUNK: Final = {"choices": [{"index": 0, "delta": {"content": "Hi"}}]}


def event(value: object) -> bytes:
    data = value if isinstance(value, bytes) else orjson.dumps(value)
    return b"data: " + data + b"\n\n"


@dataclass
class Provider:
    """A stand-in that answers as it is told, and notes what it was asked."""

    address: str = ""
    status: int = 200
    body: bytes = orjson.dumps(ANSWER)
    waits: str = ""  # the Retry-After of its answers, if any
    pieces: list[bytes] = field(default_factory=list)  # in place of the body, one write each
    asked: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    peers: list[Any] = field(default_factory=list)  # the other end of each call's connection

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(await request.json())
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        assert request.transport is not None
        self.peers.append(request.transport.get_extra_info("peername"))
        if not self.pieces:
            headers = {"retry-after": self.waits} if self.waits else {}
            return web.Response(status=self.status, body=self.body, headers=headers)
        response = web.StreamResponse(status=self.status)
        await response.prepare(request)
        for piece in self.pieces:
            await response.write(piece)
        await asyncio.sleep(0.005)  # the response's end comes a moment after, as from any provider
        return response


@asynccontextmanager
async def standing_in() -> AsyncIterator[Provider]:
    """A provider that listens."""
    provider = Provider()
    application = web.Application(client_max_size=32 * 1024 * 1024)
    application.router.add_post("/v1/chat/completions", provider.answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    provider.address = f"http://{host}:{port}/v1"
    yield provider
    await runner.cleanup()


def request(**fields: Any) -> ChatRequest:
    """What is asked of it."""
    values = {"messages": ({"role": "user", "content": "Hello"},)} | fields
    return ChatRequest("public", **values)


async def chunks(providers: Providers, deployment: Target) -> list[dict[str, Any]]:
    """All of a stream."""
    return [chunk async for chunk in providers.stream(deployment, request(stream=True))]
