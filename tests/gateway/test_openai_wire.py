"""Providers that speak the OpenAI wire, and what they may say on it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
from aiohttp import web

from gateway.errors import (
    GatewayError,
    InvalidRequest,
    ProviderRejected,
    ProviderUnavailable,
    StreamCut,
)
from gateway.providers.client import Providers
from gateway.types import ChatRequest, Target
from tests.gateway.cast import target

ANSWER = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}}]}
CHUNK = {"choices": [{"index": 0, "delta": {"content": "Hi"}}]}


def event(value: object) -> bytes:
    data = value if isinstance(value, bytes) else orjson.dumps(value)
    return b"data: " + data + b"\n\n"


@dataclass
class Provider:
    """A stand-in that answers as it is told, and notes what it was asked."""

    address: str = ""
    status: int = 200
    body: bytes = orjson.dumps(ANSWER)
    pieces: list[bytes] = field(default_factory=list)  # in place of the body, one write each
    asked: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    peers: list[Any] = field(default_factory=list)  # the other end of each call's connection

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(await request.json())
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        assert request.transport is not None
        self.peers.append(request.transport.get_extra_info("peername"))
        if not self.pieces:
            return web.Response(status=self.status, body=self.body)
        response = web.StreamResponse(status=self.status)
        await response.prepare(request)
        for piece in self.pieces:
            await response.write(piece)
        await asyncio.sleep(0.005)  # the response's end comes a moment after, as from any provider
        return response


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    provider = Provider()
    application = web.Application(client_max_size=32 * 1024 * 1024)
    application.router.add_post("/v1/chat/completions", provider.answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    provider.address = f"http://{host}:{port}/v1"
    yield provider
    await runner.cleanup()


@pytest.fixture
async def providers() -> AsyncIterator[Providers]:
    providers = Providers(connect=2, silence=5)
    await providers.open()
    yield providers
    await providers.close()


@pytest.fixture
def deployment(provider: Provider) -> Target:
    return target("one", base_url=provider.address)


def request(**fields: Any) -> ChatRequest:
    values = {"messages": ({"role": "user", "content": "Hello"},)} | fields
    return ChatRequest("public", **values)


async def chunks(providers: Providers, deployment: Target) -> list[dict[str, Any]]:
    return [chunk async for chunk in providers.stream(deployment, request(stream=True))]


async def test_the_provider_is_asked_for_its_own_model_with_its_own_key(
    providers: Providers, provider: Provider, deployment: Target
) -> None:
    answer = await providers.complete(deployment, request(max_tokens=9, choices=2))

    assert answer == ANSWER
    assert provider.asked == [
        {
            "model": "m",
            "messages": [{"role": "user", "content": "Hello"}],
            "max_tokens": 9,
            "n": 2,
        }
    ]
    assert provider.headers[0]["authorization"] == "Bearer sk-theirs"
    assert provider.headers[0]["content-type"] == "application/json"


async def test_without_a_key_none_is_sent(
    providers: Providers, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "the-operators")
    await providers.complete(target("one", base_url=provider.address, api_key=None), request())

    assert "authorization" not in provider.headers[0]
    assert "the-operators" not in str(provider.headers)


async def test_a_stream_is_asked_for_with_its_usage(
    providers: Providers, provider: Provider, deployment: Target
) -> None:
    provider.pieces = [event(CHUNK), event(b"[DONE]")]
    assert await chunks(providers, deployment) == [CHUNK]

    assert provider.asked[0]["stream"] is True
    assert provider.asked[0]["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize("name", ["openai", "fireworks_ai", "groq", "mistral", "deepseek"])
async def test_whatever_a_provider_s_class_does_to_a_request_the_next_one_gets_it_whole(
    providers: Providers, provider: Provider, name: str
) -> None:
    function = {"name": "f", "strict": True, "parameters": {"type": "object", "$schema": "x"}}
    parts = [
        {"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}},
        {"type": "image_url", "image_url": {"url": "data:,", "detail": "low"}},
    ]
    asked = request(
        messages=({"role": "developer", "content": None}, {"role": "user", "content": parts}),
        parameters={"tools": [{"type": "function", "function": function}]},
    )
    before = orjson.dumps(asked)
    await providers.complete(target("one", base_url=provider.address, provider=name), asked)

    assert orjson.dumps(asked) == before


async def test_a_remote_image_is_the_provider_s_to_fetch(
    providers: Providers, provider: Provider, deployment: Target
) -> None:
    part = {"type": "image_url", "image_url": {"url": "http://127.0.0.1:9/a.pdf"}}
    await providers.complete(deployment, request(messages=({"role": "user", "content": [part]},)))

    assert "http://127.0.0.1:9/a.pdf" in str(provider.asked[0])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"Hello",
        b"[]",
        b"null",
        b"{}",
        b'{"choices": null}',
        b'{"choices": []}',
        b'{"choices": {}}',
        b'{"choices": [null]}',
        b'{"choices": [{"message": null}]}',
        b'{"choices": [{"message": {"content": "Hi"}}, {}]}',
        b'{"error": {"message": "no"}}',
        b'{"choices": [{"message": {"content": "\xff"}}]}',
    ],
    ids=repr,
)
async def test_an_answer_that_is_no_completion_is_a_reason_to_try_another(
    providers: Providers, provider: Provider, deployment: Target, body: bytes
) -> None:
    provider.body = body

    with pytest.raises(ProviderUnavailable) as failure:
        await providers.complete(deployment, request())
    assert failure.value.code == "provider_bad_response"


async def test_a_redirect_is_not_followed(
    providers: Providers, provider: Provider, deployment: Target
) -> None:
    provider.status = 307

    with pytest.raises(ProviderUnavailable) as failure:
        await providers.complete(deployment, request())
    assert failure.value.code == "provider_307"
    assert len(provider.asked) == 1


async def test_an_answer_in_many_pieces_is_whole(
    providers: Providers, provider: Provider, deployment: Target
) -> None:
    whole = orjson.dumps({"choices": [{"index": 0, "message": {"content": "word " * 100_000}}]})
    provider.pieces = [whole[start : start + 4_096] for start in range(0, len(whole), 4_096)]
    answer = await providers.complete(deployment, request())

    assert len(answer["choices"][0]["message"]["content"]) == 500_000


async def test_an_error_in_pieces_is_quoted_whole(
    providers: Providers, provider: Provider, deployment: Target
) -> None:
    provider.status = 400
    provider.pieces = [b'{"error": {"mess', b'age": "Too ', b'long."}}']

    with pytest.raises(ProviderRejected, match="Too long"):
        await providers.complete(deployment, request())


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


@pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])
async def test_one_connection_serves_one_call_after_the_other(
    providers: Providers, provider: Provider, deployment: Target, stream: bool
) -> None:
    if stream:
        provider.pieces = [event(CHUNK), event(b"[DONE]")]
    for _ in range(5):
        if stream:
            await chunks(providers, deployment)
        else:
            await providers.complete(deployment, request())

    assert len(set(provider.peers)) == 1


@pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])
async def test_a_key_that_no_header_can_carry_is_misconfigured(
    providers: Providers, provider: Provider, stream: bool
) -> None:
    deployment = target("one", base_url=provider.address, api_key="sk-theirs\n")
    answer = chunks(providers, deployment) if stream else providers.complete(deployment, request())

    with pytest.raises(ProviderUnavailable) as failure:
        await answer
    assert failure.value.code == "provider_misconfigured"
    assert "sk-theirs" not in failure.value.message


async def test_a_stream_that_is_closed_early_hangs_up_on_the_provider(
    providers: Providers, provider: Provider, deployment: Target
) -> None:
    provider.pieces = [event(CHUNK)] * 5
    stream = providers.stream(deployment, request(stream=True))
    await anext(stream)
    await stream.aclose()

    assert await anext(stream, None) is None


@pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])
@pytest.mark.parametrize("fields", [{"provider": "nonsense"}, {"provider": ""}], ids=str)
async def test_a_deployment_of_nobody_s_making_is_misconfigured(
    providers: Providers, provider: Provider, fields: dict[str, str], stream: bool
) -> None:
    deployment = target("one", base_url=provider.address, **fields)

    answer = chunks(providers, deployment) if stream else providers.complete(deployment, request())

    with pytest.raises(ProviderUnavailable) as failure:
        await answer
    assert failure.value.code == "provider_misconfigured"


async def test_what_a_provider_s_class_cannot_translate_is_a_reason_to_try_another(
    providers: Providers, provider: Provider
) -> None:
    """Hugging Face's wants `organisation/model`, and raises a ValueError otherwise."""
    deployment = target("one", base_url=provider.address, provider="huggingface")

    with pytest.raises(GatewayError) as failure:
        await providers.complete(deployment, request())
    assert failure.value.code == "provider_misconfigured"
    assert provider.asked == []


async def test_a_parameter_that_the_provider_does_not_know_is_left_out(
    providers: Providers, provider: Provider
) -> None:
    deployment = target("one", base_url=provider.address, provider="deepseek")
    parameters = {"seed": 7, "temperature": 0.5}
    try:
        await providers.complete(deployment, request(parameters=parameters))
    except InvalidRequest:  # what a fallback does not know must not fail it
        pytest.fail("the parameter was refused")

    assert provider.asked[0]["temperature"] == 0.5


async def test_providers_whose_wire_is_not_openai_s_are_not_spoken_to_in_it() -> None:
    from gateway.providers.translation import wire_of

    for provider in ("anthropic", "gemini", "cohere", "ollama", "bedrock"):
        assert wire_of(target("one", provider=provider)) is None, provider
