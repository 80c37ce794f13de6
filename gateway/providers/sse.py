"""Server-sent events, read: bytes as they come, in any cut, to the data of each event."""

from typing import Final

from gateway.providers.failures import rubbish

LONGEST_EVENT: Final = 8 * 1024 * 1024  # bytes, with what one read adds


class EventData:
    """The `data` of each event of one stream.  Comments, other fields, empty events: passed over.

    Lines end in LF or CRLF.  Several data lines of one event are joined by LF, as the standard
    says.  An event that the end cuts off is never given.  Source: WHATWG HTML §9.2.6.
    """

    def __init__(self) -> None:
        self._rest = b""  # of the event whose end has not come

    def of(self, part: bytes) -> list[bytes]:
        """What ends with this part; for an event that grows without end, ProviderUnavailable."""
        if self._rest:
            part = self._rest + part
        if len(part) > LONGEST_EVENT:
            raise rubbish()
        if b"\r" in part:
            part = part.replace(b"\r\n", b"\n")
        events = part.split(b"\n\n")
        self._rest = events.pop()
        return [data for event in events if (data := _data_of(event))]


def _data_of(event: bytes) -> bytes:
    if event.startswith(b"data: ") and b"\n" not in event:  # as nearly all are
        return event[6:]
    lines = [line[5:].removeprefix(b" ") for line in event.split(b"\n") if line[:5] == b"data:"]
    return b"\n".join(lines)
