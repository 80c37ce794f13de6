"""Views that do what a test of the handler needs."""

import datetime as dt
from collections.abc import AsyncGenerator
from typing import Any

from django.core.exceptions import SuspiciousOperation
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpResponse
from django.urls import path

from gateway.api.chat import OpenAIEvents
from gateway.api.event_stream import EventStreamResponse

closed: list[str] = []
"""What became of the streams of `endless`."""


async def echo(request: ASGIRequest) -> HttpResponse:
    return HttpResponse(request.read(), content_type="text/plain")


async def broken(request: ASGIRequest) -> HttpResponse:
    raise KeyError("the secret of the house")


async def suspicious(request: ASGIRequest) -> HttpResponse:
    raise SuspiciousOperation("Too many fields.")


async def endless(request: ASGIRequest) -> EventStreamResponse:
    """A stream whose deadline has all but passed."""

    async def chunks() -> AsyncGenerator[dict[str, Any], None]:
        try:
            while True:
                yield {"choices": []}
        finally:
            closed.append("closed")

    past = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=4.8)
    return EventStreamResponse(chunks(), encoding=OpenAIEvents("req_1"), deadline_at=past)


urlpatterns = [
    path("echo", echo),
    path("broken", broken),
    path("suspicious", suspicious),
    path("endless", endless),
]
