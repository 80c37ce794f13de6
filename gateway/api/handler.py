"""The gateway's own ASGI entry: Django's request and views without its per-request extras.

No signals, no thread hop, no disk file for the body, no logging in a thread.  What it adds: a
body limit, a request id on every response, JSON for every error, and that a client's hang-up
cancels the view.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import aclosing, asynccontextmanager
from http import HTTPStatus
from io import BytesIO
from typing import Any, Final

from django.conf import settings
from django.core.exceptions import SuspiciousOperation
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.urls import Resolver404, URLResolver
from django.urls.resolvers import RegexPattern

from accounts.identifiers import encode, uuid7
from gateway.api.dialects import Dialect, dialect_of
from gateway.api.errors import ServerStopping
from gateway.api.event_stream import EventStreamResponse
from gateway.api.view import request_id_of
from gateway.errors import GatewayError, InvalidRequest, RequestTooLarge
from gateway.steps.respond import write

logger = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_DRAINED_BYTES: Final = 64 * 1024 * 1024


class _ClientGone(Exception):
    """The client hung up before its request was complete."""


class GatewayHandler:
    """Serves the views of one URL configuration, all of them async."""

    def __init__(self, urlconf: str) -> None:
        self._resolver = URLResolver(RegexPattern(r"^/"), urlconf)
        self._resolver.url_patterns  # noqa: B018  (imports the views: a broken one stops the start)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, from its body to the last byte of its response."""
        request_id, dialect = uuid7(), dialect_of(scope["path"])
        try:
            request = _request(scope, await _read_body(scope, receive))
        except _ClientGone:
            return
        except InvalidRequest as error:
            name = encode("req", request_id)
            await _Response(send).send(dialect.response_to(error, name), name)
            return
        request.META["scalix.request_id"] = request_id
        response = _Response(send)
        try:
            await _until_hang_up(request, self._serve(request, response), receive)
        except asyncio.CancelledError:  # by the server, which stops
            await response.break_off(request_id_of(request), dialect)

    async def _serve(self, request: ASGIRequest, response: "_Response") -> None:
        answer = await self._respond(request, request_id_of(request))
        await response.send(answer, request_id_of(request))

    async def _respond(self, request: ASGIRequest, request_id: str) -> HttpResponseBase:
        dialect = dialect_of(request.path)
        try:
            match = self._resolver.resolve(request.path_info)
        except Resolver404:
            return dialect.not_found(request.path_info, request_id)
        try:
            response: HttpResponseBase = await match.func(request, *match.args, **match.kwargs)
        except SuspiciousOperation as error:  # a thousand query parameters, say
            return dialect.response_to(InvalidRequest(str(error)), request_id)
        except Exception:
            logger.exception("%s %s failed", request.method, request.path_info)
            return dialect.response_to(GatewayError("Something went wrong here."), request_id)
        return response


class _Response:
    """A response on its way out, and how far it has come."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._begun = False
        self._stream: EventStreamResponse | None = None
        self._sent_at = time.monotonic()

    async def send(self, answer: HttpResponseBase, request_id: str) -> None:
        """Sends all of it."""
        identity = request_id.encode()
        headers = [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in answer.items()
        ]
        headers += [(b"x-request-id", identity), (b"request-id", identity)]
        headers += _cross_origin(headers)
        if isinstance(answer, EventStreamResponse):
            await self._send_events(answer, headers)
            return
        assert isinstance(answer, HttpResponse)
        if answer.status_code != HTTPStatus.NO_CONTENT:
            headers.append((b"content-length", str(len(answer.content)).encode()))
        await self._start(answer.status_code, headers)
        await self._end(answer.content)

    async def break_off(self, request_id: str, dialect: Dialect) -> None:
        """Says that the server stops, in whatever form is still possible."""
        error = ServerStopping()
        if not self._begun:
            await self.send(dialect.response_to(error, request_id), request_id)
        elif self._stream is not None:
            await self._end(self._stream.encoding.error(error))

    async def _send_events(
        self, answer: EventStreamResponse, headers: list[tuple[bytes, bytes]]
    ) -> None:
        self._stream = answer
        try:
            async with aclosing(answer.source), asyncio.timeout(answer.longest):
                await self._start(HTTPStatus.OK, headers)
                async with self._kept_alive(answer):
                    await write(answer.source, answer.encoding, self._part)
                await self._end(b"")
        except TimeoutError:
            logger.warning("a client did not read its stream before the deadline")

    @asynccontextmanager
    async def _kept_alive(self, answer: EventStreamResponse) -> AsyncIterator[None]:
        """Says now and then that there is more to come, while there is nothing to say.

        Proxies hang up on what is silent.  Each body is sent whole, so this comes between events.
        """

        async def say_so() -> None:
            interval: float = settings.GATEWAY_KEEP_ALIVE_SECONDS
            while True:
                silent = time.monotonic() - self._sent_at
                if silent >= interval:
                    await self._part(answer.encoding.keep_alive)
                    silent = 0.0
                await asyncio.sleep(interval - silent)

        keeping = asyncio.create_task(say_so())
        try:
            yield
        finally:
            keeping.cancel()
            await asyncio.wait([keeping])

    async def _start(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self._begun = True
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def _part(self, part: bytes) -> None:
        self._sent_at = time.monotonic()
        await self._send({"type": "http.response.body", "body": part, "more_body": True})

    async def _end(self, part: bytes) -> None:
        await self._send({"type": "http.response.body", "body": part, "more_body": False})


async def _until_hang_up(request: ASGIRequest, work: Awaitable[None], receive: Receive) -> None:
    """Runs `work` in this task, and cancels it when the client is gone.  It settles as it ends.

    CancelledError when it was the server that cancelled it.
    """
    task = asyncio.current_task()
    assert task is not None
    watcher = asyncio.ensure_future(receive())  # the next message can only be the disconnect
    watcher.add_done_callback(lambda done: None if done.cancelled() else task.cancel())
    request.META["scalix.is_gone"] = watcher.done
    try:
        await work
    except asyncio.CancelledError:
        task.uncancel()
        if not watcher.done():
            raise
    finally:
        watcher.cancel()


def _request(scope: Scope, body: bytes) -> ASGIRequest:
    """Django's form of the request; InvalidRequest where it can't be given one.

    Views take the body by `read()`: `.body` has a smaller limit of its own, meant for forms.
    """
    try:
        return ASGIRequest(scope, BytesIO(body))
    except ValueError as error:
        raise InvalidRequest(f"The headers or the query string make no sense: {error}") from error


async def _read_body(scope: Scope, receive: Receive) -> bytes:
    """The body; RequestTooLarge as soon as it is known to be.

    A client that is still sending would see a broken connection instead of our answer, so what is
    too large is read to its end and thrown away, within reason.
    """
    limit: int = settings.GATEWAY_BODY_BYTES
    announced, length, parts = _announced(scope), 0, list[bytes]()
    too_large, more = announced > limit, announced <= _DRAINED_BYTES
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _ClientGone
        part = message.get("body", b"")
        length += len(part)
        too_large = too_large or length > limit
        if too_large:
            parts.clear()
        else:
            parts.append(part)
        more = message.get("more_body", False) and length <= _DRAINED_BYTES
    if too_large:
        raise RequestTooLarge(f"The body is larger than {limit:,} bytes.", metadata={"max": limit})
    return b"".join(parts)


def _announced(scope: Scope) -> int:
    values = (value for name, value in scope["headers"] if name == b"content-length")
    value = next(values, b"0")
    return int(value) if value.isdigit() else 0


def _cross_origin(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Browsers elsewhere may call with a token, and read our headers: no cookie counts here."""
    exposed = b", ".join(name for name, _ in headers if name != b"content-type")
    return [
        (b"access-control-allow-origin", b"*"),
        (b"access-control-expose-headers", exposed),
    ]
