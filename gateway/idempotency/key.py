"""The key that a caller names a request by, so that repeating it repeats the answer."""

import hashlib
from dataclasses import dataclass
from typing import Final

from gateway.errors import InvalidRequest

HEADER: Final = "Idempotency-Key"
_LONGEST: Final = 255


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A key, and what it was sent with: the SHA-256 of the endpoint and the body as it came."""

    text: str
    digest: bytes


def key_for(text: str, endpoint: str, body: bytes) -> IdempotencyKey:
    """The key in a header's text; InvalidRequest when it is none."""
    if not (0 < len(text) <= _LONGEST and text.isascii() and text.isprintable()):
        raise InvalidRequest(
            f"{HEADER} takes 1 to {_LONGEST} printable ASCII characters.", param=HEADER
        )
    return IdempotencyKey(text, hashlib.sha256(endpoint.encode() + b"\n" + body).digest())
