"""The answer as the caller gets it."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import orjson
import pytest

from billing.metering.usage import Usage
from gateway.api.chat import OpenAIEvents
from gateway.errors import GatewayError, StreamCut
from gateway.steps import respond
from gateway.types import TokenUsage
from tests.gateway.cast import FREE, PRO, reservation, usage

TOKENS = TokenUsage(7, 3, cached_tokens=2)


def body(**fields: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": "Hi"}}
    return {"id": "theirs", "created": 1, "model": "theirs", "choices": [choice]} | fields


def test_an_answer_is_openai_s_and_the_provider_s_only_in_choices_and_usage() -> None:
    admitted = reservation()
    theirs = {"prompt_tokens": 7, "completion_tokens": 3, "cost": 1}
    answer = respond.completion(
        admitted, body(usage=theirs, x_internal="secret"), "large", TokenUsage(7, 3)
    )

    assert answer == {
        "id": f"chatcmpl-{admitted.wire_id.removeprefix('req_')}",
        "object": "chat.completion",
        "created": int(admitted.admitted_at.timestamp()),
        "model": "large",
        "choices": body()["choices"],
        "usage": theirs,
    }


@pytest.mark.parametrize("theirs", [None, {}, {"prompt_tokens": "many"}])
def test_usage_that_was_counted_here_is_given_in_its_place(theirs: Any) -> None:
    counted = TokenUsage(8, 1, estimated=True)
    answer = respond.completion(reservation(), body(usage=theirs), "large", counted)

    assert answer["usage"] == respond.usage_block(counted)


def test_usage_has_openai_s_fields() -> None:
    assert respond.usage_block(TOKENS) == {
        "prompt_tokens": 7,
        "completion_tokens": 3,
        "total_tokens": 10,
        "prompt_tokens_details": {"cached_tokens": 2},
    }


def test_chunks_are_the_same_but_for_their_choices() -> None:
    admitted = reservation(stream=True)
    shape = respond.chunk_shaper(admitted, "large")
    chunk = {"id": "theirs", "choices": [{"index": 0, "delta": {}}], "usage": {"total_tokens": 1}}

    assert shape(chunk) == {
        "id": respond.completion_id(admitted),
        "object": "chat.completion.chunk",
        "created": int(admitted.admitted_at.timestamp()),
        "model": "large",
        "choices": chunk["choices"],
    }


def test_usage_that_is_asked_for_is_null_but_on_the_last_chunk() -> None:
    shape = respond.chunk_shaper(reservation(stream=True, include_usage=True), "large")

    assert shape({"choices": []})["usage"] is None
    last = respond.usage_chunk(shape, TOKENS)
    assert (last["choices"], last["usage"]["total_tokens"]) == ([], 10)


class Events(OpenAIEvents):
    """OpenAI's, with errors that are quick to compare."""

    def error(self, error: GatewayError) -> bytes:
        return b"data: " + error.code.encode() + b"\n\n"


EVENTS = Events("req_1")


async def chunks(
    *values: dict[str, Any], then: Exception | None = None
) -> AsyncGenerator[dict[str, Any], None]:
    for value in values:
        yield value
    if then is not None:
        raise then


async def sent(source: AsyncGenerator[dict[str, Any], None]) -> list[bytes]:
    parts = list[bytes]()

    async def put(part: bytes) -> None:
        parts.append(part)

    await respond.write(source, EVENTS, put)
    return parts


async def test_a_stream_is_events_and_done() -> None:
    parts = await sent(chunks({"a": 1}, {"b": "für\n"}))

    assert parts == [b'data: {"a":1}\n\n', 'data: {"b":"für\\n"}\n\n'.encode(), b"data: [DONE]\n\n"]
    assert orjson.loads(parts[1].removeprefix(b"data: ")) == {"b": "für\n"}


async def test_a_stream_that_is_cut_ends_in_its_error_and_is_not_done() -> None:
    assert await sent(chunks({"a": 1}, then=StreamCut("Cut."))) == [
        b'data: {"a":1}\n\n',
        b"data: stream_cut\n\n",
    ]


async def test_a_stream_that_breaks_in_our_own_hands_says_so_too(
    caplog: pytest.LogCaptureFixture,
) -> None:
    parts = await sent(chunks({"a": 1}, then=KeyError("secret prompt")))

    assert parts == [b'data: {"a":1}\n\n', b"data: internal_error\n\n"]
    assert "a stream broke off" in caplog.text


async def test_whoever_stops_reading_closes_the_source() -> None:
    source = chunks({"a": 1}, {"b": 2})

    async def hang_up(part: bytes) -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await respond.write(source, EVENTS, hang_up)

    assert await anext(source, None) is None


def headers_of(state: Usage) -> dict[str, str]:
    return respond.limit_headers(state)


def test_the_tighter_of_hour_and_day_is_the_one_in_the_headers() -> None:
    by_hour = headers_of(usage(hour_requests=3, day_requests=3))
    by_day = headers_of(usage(hour_requests=3, day_requests=45))

    assert by_hour["x-ratelimit-limit-requests"] == "10"
    assert by_hour["x-ratelimit-remaining-requests"] == "7"
    assert by_hour["ratelimit-policy"] == '"requests-hour";q=10;w=3600'
    assert by_day["x-ratelimit-limit-requests"] == "50"
    assert by_day["x-ratelimit-remaining-requests"] == "5"
    assert by_day["ratelimit-policy"] == '"requests-day";q=50;w=86400'


def test_nothing_is_left_below_nothing() -> None:
    headers = headers_of(usage(hour_requests=12, day_requests=12, day_tokens=10_500))

    assert headers["x-ratelimit-remaining-requests"] == "0"
    assert headers["x-ratelimit-remaining-tokens"] == "0"


def test_a_plan_without_limits_has_no_such_headers() -> None:
    assert headers_of(usage(PRO)) == {"x-scalix-plan": "pro"}


def test_every_header_is_plain_ascii() -> None:
    for name, value in headers_of(usage(FREE)).items():
        assert name == name.lower()
        assert value.isascii()
        assert value.isprintable()
