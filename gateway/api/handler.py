"""The gateway's own ASGI entry: Django's request and views without its per-request extras.

No signals, no thread hop, no disk file for the body, no logging in a thread.  What it adds: a
body limit, a request id on every response, JSON for every error, and that a client's hang-up
cancels the view.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import aclosing
from io import BytesIO
from typing import Any, Final

from django.conf import settings
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.urls import Resolver404, URLResolver
from django.urls.resolvers import RegexPattern

from accounts.identifiers import encode, uuid7
from gateway.api.errors import not_found, response_to
from gateway.api.event_stream import EventStreamResponse
from gateway.errors import GatewayError, RequestTooLarge

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

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, from its body to the last byte of its response."""
        request_id = encode("req", uuid7())
        try:
            body = await _read_body(scope, receive)
        except _ClientGone:
            return
        except RequestTooLarge as error:
            await _send(response_to(error, request_id), request_id, send)
            return
        request = ASGIRequest(scope, BytesIO(body))  # type: ignore[arg-type]
        request.META["scalix.request_id"] = request_id
        await _until_hang_up(self._serve(request, request_id, send), receive)

    async def _serve(self, request: ASGIRequest, request_id: str, send: Send) -> None:
        response = await self._respond(request, request_id)
        await _send(response, request.META["scalix.request_id"], send)

    async def _respond(self, request: ASGIRequest, request_id: str) -> HttpResponseBase:
        try:
            match = self._resolver.resolve(request.path_info)
        except Resolver404:
            return not_found(request.path_info, request_id)
        try:
            response: HttpResponseBase = await match.func(request, *match.args, **match.kwargs)
        except Exception:
            logger.exception("%s %s failed", request.method, request.path_info)
            return response_to(
                GatewayError("Something went wrong here. Nothing was charged."), request_id
            )
        return response


async def _until_hang_up(work: Awaitable[None], receive: Receive) -> None:
    """Runs `work` in this task, and cancels it when the client is gone.  It settles as it ends."""
    task = asyncio.current_task()
    watcher = asyncio.ensure_future(receive())  # the next message can only be the disconnect
    if task is not None:
        watcher.add_done_callback(lambda done: None if done.cancelled() else task.cancel())
    try:
        await work
    except asyncio.CancelledError:
        if not watcher.done() or task is None:
            raise
        task.uncancel()
    finally:
        watcher.cancel()


async def _read_body(scope: Scope, receive: Receive) -> bytes:
    """The body; RequestTooLarge as soon as it is known to be."""
    limit: int = settings.GATEWAY_BODY_BYTES
    announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    too_large = announced.isdigit() and int(announced) > limit
    parts: list[bytes] = []
    length = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _ClientGone
        part = message.get("body", b"")
        length += len(part)
        too_large = too_large or length > limit
        # A client that is still sending would see a broken connection instead of our answer, so
        # what is too large is read to its end, and thrown away, within reason.
        if not message.get("more_body") or length > _DRAINED_BYTES:
            break
        if not too_large:
            parts.append(part)
    if too_large:
        raise RequestTooLarge(f"The body is larger than {limit:,} bytes.", metadata={"max": limit})
    parts.append(part)
    return b"".join(parts)


async def _send(response: HttpResponseBase, request_id: str, send: Send) -> None:
    headers = [
        (name.lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in response.items()
    ]
    identity = request_id.encode()
    headers += [(b"x-request-id", identity), (b"request-id", identity)]
    headers += _cross_origin(headers)
    if isinstance(response, EventStreamResponse):
        await _send_events(response, headers, send)
        return
    assert isinstance(response, HttpResponse)
    headers.append((b"content-length", str(len(response.content)).encode()))
    await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": response.content})


async def _send_events(
    response: EventStreamResponse, headers: list[tuple[bytes, bytes]], send: Send
) -> None:
    async with aclosing(response.source):
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        async with aclosing(response.events) as events:
            async for part in events:
                await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


def _cross_origin(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Browsers elsewhere may call with a token, and read our headers: no cookie counts here."""
    exposed = b", ".join(name for name, _ in headers if name != b"content-type")
    return [
        (b"access-control-allow-origin", b"*"),
        (b"access-control-expose-headers", exposed),
    ]
