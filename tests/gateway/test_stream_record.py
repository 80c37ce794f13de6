"""A stream as it is kept: all that was said, in as few pieces as say the same."""

from typing import Any

import orjson

from gateway.idempotency.answers import StreamRecord
from tests.gateway.cast import reservation

HEAD = {"id": "chatcmpl-1", "model": "m"}


def piece(content: str, index: int = 0, **fields: Any) -> list[dict[str, Any]]:
    return [{"index": index, "delta": {"content": content}, "finish_reason": None} | fields]


def kept(*chunks: list[dict[str, Any]], most_bytes: int = 1_000) -> dict[str, Any] | None:
    record = StreamRecord(most_bytes)
    relay = record.recording(lambda chunk: HEAD | chunk)
    for choices in chunks:
        assert relay({"choices": choices}) == HEAD | {"choices": choices}
    encoded = record.kept(reservation(), None)
    return None if encoded is None else orjson.loads(encoded)


def choices_of(*chunks: list[dict[str, Any]]) -> list[Any]:
    whole = kept(*chunks)
    assert whole is not None
    assert whole["head"] == HEAD
    choices: list[Any] = whole["choices"]
    return choices


def test_pieces_of_one_text_are_put_together() -> None:
    role = [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]
    end = [{"index": 0, "delta": {}, "finish_reason": "stop"}]

    assert choices_of(role, piece("a"), piece("b"), piece("ü"), end) == [role, piece("abü"), end]


def test_choices_stay_apart() -> None:
    assert choices_of(piece("a"), piece("b", 1), piece("c", 1), piece("d")) == [
        piece("a"),
        piece("bc", 1),
        piece("d"),
    ]


def test_what_is_more_than_text_is_left_as_it_is() -> None:
    call = [{"index": 0, "delta": {"tool_calls": [{"index": 0}]}, "finish_reason": None}]
    both = piece("a", delta={"content": "a", "reasoning_content": "b"})
    likely = piece("a", logprobs={"content": []})
    last = piece("a", finish_reason="length")

    chunks = [call, call, both, both, likely, likely, last, last]
    assert choices_of(*chunks) == chunks


def test_too_much_is_not_kept_at_all() -> None:
    assert kept(piece("a" * 500), piece("b" * 501)) is None
    assert kept(piece("a" * 1_001), piece("b")) is None
    assert kept(*[piece("a", index) for index in range(20)]) is None
