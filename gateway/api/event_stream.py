"""A response whose body is an arriving answer."""

from collections.abc import AsyncGenerator
from typing import Any

from django.http.response import HttpResponseBase


class EventStreamResponse(HttpResponseBase):
    """Server-sent events.  Whoever sends it closes `source`, even if nothing was ever sent."""

    streaming = True

    def __init__(
        self, events: AsyncGenerator[bytes, None], source: AsyncGenerator[dict[str, Any], None]
    ) -> None:
        super().__init__(content_type="text/event-stream; charset=utf-8")
        self.events = events
        self.source = source
        self["cache-control"] = "no-cache"
        self["x-accel-buffering"] = "no"  # a proxy in front must not wait for more
