"""What a prompt is like, in 128 bytes: the lowest hashes of its word triples (bottom-k MinHash).

Of two prompts, the share of the lowest hashes that both have estimates how many of all their
triples both have.  Source: Broder, On the resemblance and containment of documents (1997).
"""

import asyncio
import struct
import uuid
from typing import Any, Final
from zlib import crc32

import orjson

from accounts.postgres import PostgresUnavailable, ReadPool
from gateway.safety.folding import fold
from gateway.types import Asked, ChatRequest

Sketch = tuple[int, ...]
"""Ascending hashes, `_KEPT` at most."""

_KEPT: Final = 32
_FEWEST_TRIPLES: Final = 6  # "hello, who are you" is like many other prompts, and means nothing
# Of a long prompt, characters of its beginning and its end.
_HEAD, _TAIL = 3_072, 1_024
_MOST_WAITING: Final = 10_000

_WRITE: Final = """
INSERT INTO gateway_requestfingerprint (request_id, account_id, fingerprint, anchor)
SELECT request_id, account_id, decode(fingerprint, 'hex'), anchor
  FROM json_to_recordset(%s::json)
       AS print (request_id uuid, account_id uuid, fingerprint text, anchor bigint)
ON CONFLICT DO NOTHING
"""


def sketch(text: str) -> Sketch | None:
    """The text's fingerprint; None for one that is too short to have any."""
    if len(text) > _HEAD + _TAIL:
        text = f"{text[:_HEAD]} {text[-_TAIL:]}"
    words = fold(text).encode(errors="replace").split()
    # A triple's hash: each word's CRC goes on from that of the one before it.  All in C.
    triples = set(map(crc32, words[2:], map(crc32, words[1:], map(crc32, words))))
    if len(triples) < _FEWEST_TRIPLES:
        return None
    return tuple(sorted(triples)[:_KEPT])


def likeness(one: Sketch, other: Sketch) -> float:
    """From 0, nothing in common, to 1, the same."""
    ours, theirs = set(one), set(other)
    # Of a short text the sketch has all hashes, and of a long one those below its largest.
    lowest = sorted(ours | theirs)[:_KEPT]
    return len(ours.intersection(theirs, lowest)) / len(lowest)


def packed(value: Sketch) -> bytes:
    """As the table has it."""
    return struct.pack(f">{len(value)}I", *value)


def unpacked(value: bytes) -> Sketch:
    """What `packed` packed."""
    return struct.unpack(f">{len(value) // 4}I", value)


def last_said(request: ChatRequest) -> str:
    """What the user says in this request: not the system's part, nor what was said before."""
    for message in reversed(request.messages):
        if message.get("role") == "user":
            return _text_of(message.get("content"))
    return ""


def _text_of(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(part["text"] for part in parts if isinstance(part.get("text"), str))


class Fingerprints:
    """Those of admitted requests, written a little later, many at a time.

    Those of a process that dies are lost, and those beyond what it can keep while Postgres is away.
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[uuid.UUID, uuid.UUID, Sketch]] = []

    def note(self, request_id: uuid.UUID, account_id: uuid.UUID, request: Asked) -> None:
        """Takes an admitted request's fingerprint; texts to be embedded are often alike."""
        if not isinstance(request, ChatRequest):
            return
        if len(self._waiting) < _MOST_WAITING and (found := sketch(last_said(request))):
            self._waiting.append((request_id, account_id, found))

    async def write(self, pool: ReadPool) -> None:
        """Writes what is new.  PostgresUnavailable, and then it is kept for the next call."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        rows = [
            {
                "request_id": request_id,
                "account_id": account_id,
                "fingerprint": packed(found).hex(),
                "anchor": found[0],
            }
            for request_id, account_id, found in waiting
        ]
        try:
            await pool.fetch(_WRITE, (orjson.dumps(rows).decode(),))
        except (PostgresUnavailable, asyncio.CancelledError):  # it may be repeated
            self._waiting = waiting + self._waiting
            raise
