"""A stream in the Responses API's events: items that begin, grow and end."""

from typing import Any, Final

import orjson

from gateway.api.errors import body_of
from gateway.api.openai_responses.answers import (
    call_item,
    ending,
    frame,
    message_item,
    reasoning_item,
    refusal_part,
    summary_part,
    text_part,
    usage_block,
)
from gateway.api.openai_responses.parsing import ResponsesBody
from gateway.api.said import reasoning_in, suffix_of, text_in
from gateway.errors import GatewayError

_REASONING: Final = "reasoning"
_TEXT: Final = "text"
_REFUSAL: Final = "refusal"
_CALL: Final = "call"


class ResponseEvents:
    """The events of one stream.  One item is open at a time; all are numbered from 0."""

    keep_alive = b": keep-alive\n\n"

    def __init__(self, request_id: str, asked: ResponsesBody) -> None:
        self._request_id = request_id
        self._asked = asked
        self._number = 0
        self._frame: dict[str, Any] = {}
        self._answer_id = ""
        self._output: list[dict[str, Any]] = []  # items that have ended
        self._open = ""  # what the open item's part is: of the kinds above
        self._text = ""  # of that part, so far
        self._parts: list[dict[str, Any]] = []  # of the open message, that have ended
        self._call: dict[str, Any] = {}
        self._slot: tuple[int, str] | None = None  # the open call's index and id
        self._calls = 0
        self._finish: str | None = None
        self._usage: dict[str, Any] | None = None

    def chunk(self, chunk: dict[str, Any]) -> bytes:
        """The events that a chunk comes to."""
        events = b"" if self._frame else self._begin(chunk)
        for choice in chunk["choices"]:
            events += self._grow(choice["delta"])
            self._finish = choice.get("finish_reason") or self._finish
        if usage := chunk.get("usage"):
            self._usage = usage_block(usage)
        return events

    def end(self) -> bytes:
        """That it is whole, or why it is not, with all of it."""
        events = self._close_item()
        ended = self._frame | ending(self._finish)
        ended |= {"output": self._output, "usage": self._usage}
        return events + self._event(f"response.{ended['status']}", response=ended)

    def error(self, error: GatewayError) -> bytes:
        """The error as the stream's last event.  SDKs raise what stands under `error`."""
        body = body_of(error, self._request_id)["error"]
        return self._event(
            "error", code=error.code, message=error.message, param=error.param, error=body
        )

    def _begin(self, chunk: dict[str, Any]) -> bytes:
        self._frame = frame(chunk, self._asked)
        self._answer_id = suffix_of(chunk["id"])
        return self._event("response.created", response=self._frame) + self._event(
            "response.in_progress", response=self._frame
        )

    def _grow(self, delta: dict[str, Any]) -> bytes:
        events = b""
        if reasoning := reasoning_in(delta):
            events += self._said(_REASONING, reasoning)
        if text := text_in(delta):
            events += self._said(_TEXT, text)
        if refusal := delta.get("refusal"):
            events += self._said(_REFUSAL, refusal)
        for call in delta.get("tool_calls") or ():
            events += self._called(call)
        return events

    def _said(self, kind: str, text: str) -> bytes:
        """More text of a part, which begins with it if it is not open."""
        events = b"" if self._open == kind else self._open_part(kind)
        self._text += text
        names = {
            _REASONING: "response.reasoning_summary_text.delta",
            _TEXT: "response.output_text.delta",
            _REFUSAL: "response.refusal.delta",
        }
        more: dict[str, Any] = {"logprobs": []} if kind == _TEXT else {}
        return events + self._event(names[kind], **self._where(), delta=text, **more)

    def _open_part(self, kind: str) -> bytes:
        is_message = kind != _REASONING
        if is_message and self._open in (_TEXT, _REFUSAL):
            events = self._close_part()
        else:
            events = self._close_item()
            empty = (
                message_item(self._answer_id, [], "in_progress")
                if is_message
                else reasoning_item(self._answer_id)
            )
            events += self._item_event("added", empty)
        self._open, self._text = kind, ""
        name = "content_part" if is_message else "reasoning_summary_part"
        return events + self._event(f"response.{name}.added", **self._where(), part=self._part())

    def _called(self, call: dict[str, Any]) -> bytes:
        """A call's beginning, or more of it.  Some providers number all of theirs 0."""
        slot = (call.get("index") or 0, call.get("id") or "")
        is_more = self._open == _CALL and self._slot is not None and (
            slot[0] == self._slot[0] and slot[1] in ("", self._slot[1])
        )  # fmt: skip
        events = b""
        if not is_more:
            events = self._close_item()
            started = call | {"function": (call.get("function") or {}) | {"arguments": ""}}
            self._call = call_item(self._answer_id, self._calls, started, "in_progress")
            self._calls += 1
            self._open, self._slot, self._text = _CALL, slot, ""
            events += self._item_event("added", self._call)
        if arguments := (call.get("function") or {}).get("arguments"):
            self._text += arguments
            events += self._event(
                "response.function_call_arguments.delta",
                item_id=self._call["id"],
                output_index=len(self._output),
                delta=arguments,
            )
        return events

    def _close_part(self) -> bytes:
        """Ends the open text."""
        part, where = self._part(), self._where()
        self._parts.append(part)
        said: dict[str, Any]
        if self._open == _REASONING:
            name, said = "reasoning_summary_text", {"text": self._text}
        elif self._open == _TEXT:
            name, said = "output_text", {"text": self._text, "logprobs": []}
        else:
            name, said = "refusal", {"refusal": self._text}
        around = "content_part" if self._open != _REASONING else "reasoning_summary_part"
        return self._event(f"response.{name}.done", **where, **said) + self._event(
            f"response.{around}.done", **where, part=part
        )

    def _close_item(self) -> bytes:
        """Ends the open item, if there is one."""
        if not self._open:
            return b""
        if self._open == _CALL:
            item = self._call | {"arguments": self._text, "status": "completed"}
            events = self._event(
                "response.function_call_arguments.done",
                item_id=item["id"],
                output_index=len(self._output),
                name=item["name"],
                arguments=self._text,
            )
        elif self._open == _REASONING:
            events, item = self._close_part(), reasoning_item(self._answer_id, self._text)
        else:
            events = self._close_part()
            item = message_item(self._answer_id, self._parts)
        events += self._item_event("done", item)
        self._output.append(item)
        self._open, self._text, self._parts = "", "", []
        return events

    def _part(self) -> dict[str, Any]:
        if self._open == _REASONING:
            return summary_part(self._text)
        return text_part(self._text) if self._open == _TEXT else refusal_part(self._text)

    def _where(self) -> dict[str, Any]:
        is_message = self._open != _REASONING
        prefix = "msg" if is_message else "rs"
        return {
            "item_id": f"{prefix}_{self._answer_id}",
            "output_index": len(self._output),
            "content_index" if is_message else "summary_index": len(self._parts),
        }

    def _item_event(self, what: str, item: dict[str, Any]) -> bytes:
        return self._event(
            f"response.output_item.{what}", output_index=len(self._output), item=item
        )

    def _event(self, kind: str, **fields: Any) -> bytes:
        data = {"type": kind, "sequence_number": self._number} | fields
        self._number += 1
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), orjson.dumps(data))
