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
        self._rest = b""  # of a line whose end has not come
        self._lines: list[bytes] = []  # of an event whose end has not come
        self._length = 0

    def of(self, part: bytes) -> list[bytes]:
        """What ends with this part; for an event that grows without end, ProviderUnavailable."""
        part = self._rest + part
        if self._length + len(part) > LONGEST_EVENT:
            raise rubbish()
        *lines, self._rest = part.split(b"\n")
        ended = []
        for raw in lines:
            line = raw[:-1] if raw.endswith(b"\r") else raw
            if not line:
                if self._lines:
                    ended.append(b"\n".join(self._lines))
                    self._lines, self._length = [], 0
            elif line.startswith(b"data:"):
                self._length += len(line)
                self._lines.append(line[6:] if line[5:6] == b" " else line[5:])
        return ended
