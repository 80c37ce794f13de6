"""Providers that speak the OpenAI wire: what they are asked, and what they may answer."""

from typing import Any

import orjson
import pytest

from gateway.errors import (
    GatewayError,
    InvalidRequest,
    ProviderRejected,
    ProviderUnavailable,
)
from gateway.providers.client import Providers
from gateway.types import Target
from tests.gateway.cast import target
from tests.gateway.provider import ANSWER, CHUNK, Provider, chunks, event, request


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


@pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])
@pytest.mark.parametrize("fields", [{"provider": "nonsense"}, {"provider": ""}], ids=str)
async def test_a_deployment_of_nobody_s_making_is_misconfigured(
    providers: Providers, provider: Provider, fields: dict[str, Any], stream: bool
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
    assert failure.value.code == "request_untranslatable"
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
