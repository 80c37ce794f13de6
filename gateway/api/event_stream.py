"""A response whose body is an arriving answer."""

import datetime as dt
from collections.abc import AsyncGenerator
from typing import Any, Final

from django.http.response import HttpResponseBase

from gateway.steps.respond import Encoding

_SLOW_READER_SECONDS: Final = 5.0  # past the deadline, which a provider that is slow has met before


class EventStreamResponse(HttpResponseBase):
    """Server-sent events.  Whoever sends it closes `source`, even if nothing was ever sent.

    After `longest` seconds a client that has not read it all by then is hung up on.
    """

    streaming = True

    def __init__(
        self,
        chunks: AsyncGenerator[dict[str, Any], None],
        *,
        encoding: Encoding,
        deadline_at: dt.datetime,
    ) -> None:
        super().__init__(content_type="text/event-stream; charset=utf-8")
        self.source = chunks
        self.encoding = encoding
        left = deadline_at - dt.datetime.now(dt.UTC)
        self.longest = left.total_seconds() + _SLOW_READER_SECONDS
        self["cache-control"] = "no-cache"
        self["x-accel-buffering"] = "no"  # a proxy in front must not wait for more
