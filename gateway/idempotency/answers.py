"""Answers as they are kept: JSON, with what the response said beside them."""

import uuid
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Any

import orjson

from accounts.identifiers import encode
from billing.metering.usage import Usage
from gateway.types import Caller, Reservation

Shape = Callable[[dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Replay:
    """An answer given again: charged when it was first given, and not now."""

    request_id: uuid.UUID  # of the request that was answered
    caller: Caller
    usage: Usage  # now
    deployment: str
    lowered_max_tokens: int | None
    body: dict[str, Any] | None  # OpenAI's `chat.completion`; None for a stream
    head: dict[str, Any]  # what all chunks of a stream have
    choices: tuple[list[dict[str, Any]], ...]  # of each chunk
    last: dict[str, Any] | None  # the chunk after these: the usage, where it was asked for
    cached_for: int | None = None  # seconds, where it is the cache that had it

    @property
    def wire_id(self) -> str:
        """The id of the request that was answered, as callers see it."""
        return encode("req", self.request_id)

    async def chunks(self) -> AsyncGenerator[dict[str, Any], None]:
        """A stream's `chat.completion.chunk`s."""
        for choices in self.choices:
            yield self.head | {"choices": choices}
        if self.last is not None:
            yield self.last


def kept_body(reservation: Reservation, body: dict[str, Any]) -> bytes:
    """A whole answer, to be stored."""
    return orjson.dumps({"max_tokens": reservation.lowered_max_tokens, "body": body})


class StreamRecord:
    """A stream's chunks, as they go by.  Pieces of text that follow each other become one.

    Past `most_bytes` it keeps nothing any more.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._head: dict[str, Any] = {}
        self._choices: list[list[dict[str, Any]]] = []
        self._frame: dict[str, Any] | None = None  # of the text that is being collected
        self._pieces: list[str] = []
        self._bytes = 0

    def recording(self, shape: Shape) -> Shape:
        """The same function, whose results are noted."""

        def noted(chunk: dict[str, Any]) -> dict[str, Any]:
            ours = shape(chunk)
            if self._bytes <= self._most_bytes:
                self._note(ours)
            return ours

        return noted

    def kept(self, reservation: Reservation, last: dict[str, Any] | None) -> bytes | None:
        """All of it, to be stored; None when it was too much."""
        if self._bytes > self._most_bytes:
            return None
        self._close_text()
        return orjson.dumps(
            {
                "max_tokens": reservation.lowered_max_tokens,
                "head": self._head,
                "choices": self._choices,
                "last": last,
            }
        )

    def _note(self, chunk: dict[str, Any]) -> None:
        choices = chunk["choices"]
        if not self._head:
            self._head = {name: value for name, value in chunk.items() if name != "choices"}
        frame = _frame_of_text(choices)
        if frame is not None and frame == self._frame:
            text = choices[0]["delta"]["content"]
            self._pieces.append(text)
            self._bytes += len(text.encode())
        else:
            self._close_text()
            self._bytes += len(orjson.dumps(choices))
            if frame is None:
                self._choices.append(choices)
            else:
                self._frame = frame
                self._pieces.append(choices[0]["delta"]["content"])
        if self._bytes > self._most_bytes:
            self._choices.clear()
            self._pieces.clear()

    def _close_text(self) -> None:
        if self._frame is not None and self._pieces:
            self._choices.append([self._frame | {"delta": {"content": "".join(self._pieces)}}])
        self._frame = None
        self._pieces.clear()


def replay_of(
    request_id: uuid.UUID,
    deployment: str,
    answer: bytes,
    caller: Caller,
    usage: Usage,
    *,
    cached_for: int | None = None,
) -> Replay:
    """The answer that was stored of this request, for a caller who has this left."""
    kept = orjson.loads(answer)
    return Replay(
        request_id=request_id,
        caller=caller,
        usage=usage,
        deployment=deployment,
        lowered_max_tokens=kept["max_tokens"],
        body=kept.get("body"),
        head=kept.get("head", {}),
        choices=tuple(kept.get("choices", ())),
        last=kept.get("last"),
        cached_for=cached_for,
    )


def _frame_of_text(choices: list[dict[str, Any]]) -> dict[str, Any] | None:
    """All but the text of a chunk that is one piece of one choice's text, and nothing more."""
    if len(choices) != 1:
        return None
    choice, delta = choices[0], choices[0]["delta"]
    if len(delta) != 1 or not isinstance(delta.get("content"), str):
        return None
    if choice.get("finish_reason") or choice.get("logprobs"):
        return None
    return {name: value for name, value in choice.items() if name != "delta"}
