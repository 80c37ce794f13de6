"""A stand-in for a provider: what it is to say, or how it is to fail, in whatever wire it speaks.

A wire renders one `Say` as the provider's documentation has it.  How its bytes are cut on the way,
and what happens to the connection, is the same for all and is done here.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from aiohttp import web

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool to be called, with its arguments as JSON in a string."""

    name: str
    arguments: str
    id: str = "call_1"


@dataclass(frozen=True, slots=True)
class Say:
    """One answer.  `finish`: stop, length, tools or filter."""

    pieces: tuple[str, ...] = ("Hel", "lo ", "there")
    reasoning: tuple[str, ...] = ()
    calls: tuple[ToolCall, ...] = ()
    finish: str = "stop"
    prompt_tokens: int = 7
    completion_tokens: int = 3
    cached_tokens: int = 0
    choices: int = 1
    logprob: float | None = None  # of each piece, where they are said

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(self.pieces)


RETRY_AFTER: Final = 34  # seconds
WAITING: Final = frozenset({"rate", "overloaded"})
"""The refusals that come with it."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """An error response; `kind` is a name that every wire knows."""

    kind: str


@dataclass(frozen=True, slots=True)
class Misbehave:
    """What no documentation has: silent, cut before, cut after, rubbish, empty, error after."""

    how: str


@dataclass(frozen=True, slots=True)
class Exactly:
    """A whole answer, or a stream's data, as they stand here."""

    whole: Any = None
    data: tuple[Json, ...] = ()


Script = Say | Refuse | Misbehave | Exactly


class Wire(Protocol):
    """How one provider writes."""

    @property
    def provider(self) -> str:
        """By litellm's name."""

    @property
    def model(self) -> str:
        """By the provider's."""

    @property
    def path(self) -> str:
        """Of the base URL."""

    def is_stream(self, request: web.Request, body: Json) -> bool:
        """Whether a stream is asked for."""

    def whole(self, say: Say) -> Json:
        """A whole answer."""

    def events(self, say: Say) -> list[bytes]:
        """A stream, event by event."""

    def refusal(self, kind: str) -> tuple[int, Any]:
        """An error's status and body."""

    def error_event(self) -> bytes:
        """An error in the middle of a stream."""

    def vectors(self, request: web.Request, body: Json) -> Json | None:
        """Embeddings of the texts, as `vector_of` makes them; None where none are asked for."""


def vector_of(text: str) -> list[float]:
    """Two numbers that are the text's own, for 32-bit floats to hold exactly."""
    return [float(len(text)), 0.5]


@dataclass
class StandIn:
    """A provider that listens, answers as its script says, and notes what it was asked."""

    wire: Wire
    address: str = ""
    script: Script = field(default_factory=Say)
    cut_every: int = 0  # bytes: each write of a stream is so long; 0: an event each
    asked: list[Json] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    @property
    def base_url(self) -> str:
        """What a deployment is given."""
        return f"{self.address}{self.wire.path}"

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """One call."""
        body = await request.json()
        self.asked.append(body)
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        script = self.script
        if isinstance(script, Refuse):
            status, error = self.wire.refusal(script.kind)
            headers = {"retry-after": str(RETRY_AFTER)} if script.kind in WAITING else {}
            return web.json_response(error, status=status, headers=headers)
        stream = self.wire.is_stream(request, body)
        if isinstance(script, Exactly):
            if not stream:
                return web.json_response(script.whole)
            events = [b"data: " + json.dumps(one).encode() + b"\n\n" for one in script.data]
            return await self._stream(request, events)
        if vectors := self.wire.vectors(request, body):
            return web.json_response(vectors)
        if isinstance(script, Misbehave):
            return await self._misbehave(request, script.how, stream=stream)
        if not stream:
            return web.json_response(self.wire.whole(script))
        return await self._stream(request, self.wire.events(script))

    async def _misbehave(
        self, request: web.Request, how: str, *, stream: bool
    ) -> web.StreamResponse:
        assert request.transport is not None
        events = self.wire.events(Say())
        match how:
            case "silent":
                await asyncio.sleep(3_600)
            case "cut before":
                request.transport.abort()
            case "rubbish":
                return web.Response(body=b"<html>It works!</html>", content_type="text/html")
            case "empty":
                return web.Response(body=b"")
            case "cut after" if stream:
                return await self._stream(request, events[: len(events) // 2], cut=True)
            case "error after" if stream:
                half = events[: len(events) // 2]
                return await self._stream(request, [*half, self.wire.error_event()])
        request.transport.abort()
        return web.Response()

    async def _stream(
        self, request: web.Request, events: list[bytes], *, cut: bool = False
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        for part in _cut(events, self.cut_every):
            await response.write(part)
            await asyncio.sleep(0)  # so that each write is a read at the other end
        if cut:
            assert request.transport is not None
            await asyncio.sleep(0.02)  # what was written is on its way
            request.transport.abort()
        return response


@asynccontextmanager
async def listening(wire: Wire) -> AsyncIterator[StandIn]:
    """A stand-in that speaks this wire."""
    stand_in = StandIn(wire)
    application = web.Application(client_max_size=32 * 1024 * 1024)
    application.router.add_post("/{path:.*}", stand_in.answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    stand_in.address = f"http://{host}:{port}"
    try:
        yield stand_in
    finally:
        await runner.cleanup()


def _cut(events: list[bytes], length: int) -> list[bytes]:
    if not length:
        return events
    whole = b"".join(events)
    return [whole[start : start + length] for start in range(0, len(whole), length)]
