"""A stream in Anthropic's events, out of OpenAI's chunks: blocks that begin, grow and end."""

from typing import Any, Final

import orjson

from gateway.api.anthropic.answers import (
    frame,
    stop_of,
    text_block,
    thinking_block,
    tool_use_block,
    usage_block,
)
from gateway.api.anthropic.asked import Asked
from gateway.api.anthropic.errors import event_of
from gateway.api.said import reasoning_in, text_in
from gateway.errors import GatewayError
from gateway.token_report import reported
from gateway.types import TokenUsage

_NO_BLOCK: Final = ""
_TEXT: Final = "text"
_THINKING: Final = "thinking"
_CALL: Final = "tool_use"


class MessageEvents:
    """The events of one stream.  One block is open at a time; they are numbered from 0."""

    keep_alive = b'event: ping\ndata: {"type":"ping"}\n\n'

    def __init__(self, request_id: str, prompt_tokens: int, asked: Asked) -> None:
        self._request_id = request_id
        self._asked = asked
        self._tokens = TokenUsage(prompt_tokens, 0)  # until the last chunk says what it was
        self._answer_id: str | None = None  # once it has begun
        self._open = _NO_BLOCK
        self._blocks = 0
        self._calls: dict[int, tuple[str, int]] = {}  # by OpenAI's index: the id, the block
        self._refuses = False
        self._last: dict[str, Any] = {}  # the choice that said why it ended

    def chunk(self, chunk: dict[str, Any]) -> bytes:
        """The events that a chunk comes to."""
        events = self._begin(chunk) if self._answer_id is None else b""
        for choice in chunk["choices"]:
            events += self._grow(choice["delta"])
            if choice.get("finish_reason"):
                self._last = choice
        if usage := chunk.get("usage"):
            self._tokens = reported(usage) or self._tokens
        return events

    def end(self) -> bytes:
        """Why it ended, what it took, and that it is whole."""
        stop = stop_of(self._last, self._asked, calls=bool(self._calls), refuses=self._refuses)
        return (
            self._close()
            + _event("message_delta", delta=stop, usage=usage_block(self._tokens))
            + _event("message_stop")
        )

    def error(self, error: GatewayError) -> bytes:
        """The error as the stream's last event."""
        return event_of(error, self._request_id)

    def _begin(self, chunk: dict[str, Any]) -> bytes:
        self._answer_id = chunk["id"]
        message = frame(chunk) | {"usage": usage_block(self._tokens)}
        return _event("message_start", message=message) + _event("ping")

    def _grow(self, delta: dict[str, Any]) -> bytes:
        """What a delta adds to the open block, or to one that it begins."""
        events = b""
        if self._asked.shows_thinking and (reasoning := reasoning_in(delta)):
            events += self._opened(_THINKING, thinking_block())
            events += self._delta(type="thinking_delta", thinking=reasoning)
        for text in (text_in(delta), delta.get("refusal")):
            if text:
                events += self._opened(_TEXT, text_block())
                events += self._delta(type="text_delta", text=text)
        self._refuses = self._refuses or bool(delta.get("refusal"))
        for call in delta.get("tool_calls") or ():
            events += self._call(call)
        return events

    def _call(self, call: dict[str, Any]) -> bytes:
        """A call's beginning or more of it.  Some providers number all of theirs 0."""
        events, slot = b"", call.get("index") or 0
        known_id, block = self._calls.get(slot, (None, 0))
        if known_id is None or (call.get("id") or known_id) != known_id:
            started = tool_use_block(call, self._blocks, self._answer_id or "")
            events += self._close() + self._start(_CALL, started)
            block = self._blocks - 1
            self._calls[slot] = (started["id"], block)
        if arguments := call.get("function", {}).get("arguments"):
            events += self._delta(block, type="input_json_delta", partial_json=arguments)
        return events

    def _opened(self, kind: str, empty: dict[str, Any]) -> bytes:
        return b"" if self._open == kind else self._close() + self._start(kind, empty)

    def _start(self, kind: str, empty: dict[str, Any]) -> bytes:
        self._open, self._blocks = kind, self._blocks + 1
        return _event("content_block_start", index=self._blocks - 1, content_block=empty)

    def _close(self) -> bytes:
        if self._open == _NO_BLOCK:
            return b""
        self._open = _NO_BLOCK
        return _event("content_block_stop", index=self._blocks - 1)

    def _delta(self, block: int | None = None, **delta: str) -> bytes:
        index = self._blocks - 1 if block is None else block
        return _event("content_block_delta", index=index, delta=delta)


def _event(kind: str, **fields: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), orjson.dumps({"type": kind} | fields))
