"""Server-sent events, read: bytes as they come, in any cut, to the data of each event."""

from collections.abc import AsyncGenerator, AsyncIterable
from typing import Final

from gateway.providers.failures import rubbish

LONGEST_EVENT: Final = 8 * 1024 * 1024  # bytes, with what one read adds


async def event_data(parts: AsyncIterable[bytes]) -> AsyncGenerator[bytes, None]:
    """The `data` of each event.  Comments, other fields and empty events are passed over.

    Lines end in LF or CRLF.  Several data lines of one event are joined by LF, as the standard
    says.  An event that the end cuts off is dropped; for one that grows without end
    ProviderUnavailable.  Source: WHATWG HTML §9.2.6.
    """
    rest = b""
    data: list[bytes] = []
    length = 0
    async for part in parts:
        rest += part
        if length + len(rest) > LONGEST_EVENT:
            raise rubbish()
        *lines, rest = rest.split(b"\n")
        for raw in lines:
            line = raw[:-1] if raw.endswith(b"\r") else raw
            if not line:
                if data:
                    yield data[0] if len(data) == 1 else b"\n".join(data)
                    data, length = [], 0
            elif line.startswith(b"data:"):
                length += len(line)
                data.append(line[6:] if line[5:6] == b" " else line[5:])
