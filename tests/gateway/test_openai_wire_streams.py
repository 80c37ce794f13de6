"""Streams on the OpenAI wire, sound, peculiar and broken."""

import pytest

from gateway.errors import (
    ProviderUnavailable,
    StreamCut,
)
from gateway.providers.client import Providers
from gateway.types import Target
from tests.gateway.provider import CHUNK, Provider, chunks, event, request


async def test_a_stream_is_asked_for_with_its_usage(
    providers: Providers, provider: Provider, deployment: Target
) -> None:
    provider.pieces = [event(CHUNK), event(b"[DONE]")]
    assert await chunks(providers, deployment) == [CHUNK]

    assert provider.asked[0]["stream"] is True
    assert provider.asked[0]["stream_options"] == {"include_usage": True}


# What some providers send, and what is made of it.
PECULIAR = {
    "usage without choices": ([event(CHUNK), event({"usage": {"prompt_tokens": 1}})], 2),
    "choices of null": ([event({"choices": None}), event(CHUNK)], 2),
    "an error of null": ([event(CHUNK | {"error": None})], 1),
    "comments": ([b": OPENROUTER PROCESSING\n\n", event(CHUNK), b": ping\n\n"], 1),
    "lines that end in CRLF": ([event(CHUNK).replace(b"\n", b"\r\n")], 1),
    "an event line": ([b"event: message\n" + event(CHUNK)], 1),
}


@pytest.mark.parametrize("name", PECULIAR)
async def test_a_stream_may_be_peculiar(
    providers: Providers, provider: Provider, deployment: Target, name: str
) -> None:
    pieces, count = PECULIAR[name]
    provider.pieces = [*pieces, event(b"[DONE]"), event(b"never read")]
    received = await chunks(providers, deployment)

    assert len(received) == count
    assert all(isinstance(chunk["choices"], list) for chunk in received)


BROKEN = {
    "text": event(b"Hello"),
    "a list": event([]),
    "a choice without a delta": event({"choices": [{"index": 0}]}),
    "choices that are an object": event({"choices": {"0": {}}}),
    "an error": event({"error": {"message": "Overloaded", "code": 529}}),
    "its end without being done": b"",
}


@pytest.mark.parametrize("name", BROKEN)
async def test_what_breaks_a_stream_before_its_first_chunk_is_a_reason_to_try_another(
    providers: Providers, provider: Provider, deployment: Target, name: str
) -> None:
    provider.pieces = [b": hello\n\n", BROKEN[name], event(b"[DONE]") if BROKEN[name] else b" "]

    with pytest.raises(ProviderUnavailable):
        await chunks(providers, deployment)


@pytest.mark.parametrize("name", BROKEN)
async def test_what_breaks_a_stream_after_it_is_a_cut(
    providers: Providers, provider: Provider, deployment: Target, name: str
) -> None:
    provider.pieces = [event(CHUNK), BROKEN[name], event(b"[DONE]") if BROKEN[name] else b" "]

    with pytest.raises(StreamCut):
        await chunks(providers, deployment)


async def test_a_stream_is_done_when_its_answer_is_even_if_it_does_not_say_so(
    providers: Providers, provider: Provider, deployment: Target
) -> None:
    last = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    usage = {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}
    provider.pieces = [event(CHUNK), event(last), event(usage)]

    assert await chunks(providers, deployment) == [CHUNK, last, usage]


async def test_a_stream_that_is_closed_early_hangs_up_on_the_provider(
    providers: Providers, provider: Provider, deployment: Target
) -> None:
    provider.pieces = [event(CHUNK)] * 5
    stream = providers.stream(deployment, request(stream=True))
    await anext(stream)
    await stream.aclose()

    assert await anext(stream, None) is None
