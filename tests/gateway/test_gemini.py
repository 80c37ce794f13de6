"""Gemini, as a stand-in on loopback speaks it: translated here, and called by litellm itself."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from aiohttp import web

from gateway.errors import InvalidRequest, ProviderRejected, ProviderUnavailable, StreamCut
from gateway.health.circuits import judged
from gateway.providers.client import Providers
from gateway.providers.reachability import PrivateHost, Reachability
from gateway.token_report import StreamReport, reported
from gateway.types import ChatRequest, Target, TokenUsage
from tests.providers.calls import ByLitellm, Calls

STATUSES = {429: "RESOURCE_EXHAUSTED", 400: "INVALID_ARGUMENT", 500: "INTERNAL"}


@dataclass
class Gemini:
    """A stand-in; a prompt that is a number is answered with that status."""

    address: str = ""
    keys: list[str | None] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.bodies.append(body)
        self.keys.append(request.headers.get("x-goog-api-key"))
        prompt = body["contents"][-1]["parts"][0].get("text", "")
        if prompt.isdigit():
            error = {"code": int(prompt), "message": "As asked.", "status": STATUSES[int(prompt)]}
            return web.json_response({"error": error}, status=int(prompt))
        if "streamGenerateContent" not in request.path:
            return web.json_response(self._said("Hello there", ends=True))
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        for text in ("Hel", "lo"):
            await self._send(response, self._said(text))
        if prompt == "cut":
            assert request.transport is not None
            request.transport.abort()
        else:
            await self._send(response, self._said(" there", ends=True))
        return response

    async def _send(self, response: web.StreamResponse, said: dict[str, Any]) -> None:
        await response.write(b"data: " + json.dumps(said).encode() + b"\r\n\r\n")

    def _said(self, text: str, *, ends: bool = False) -> dict[str, Any]:
        candidate: dict[str, Any] = {
            "index": 0,
            "content": {"role": "model", "parts": [{"text": text}]},
        }
        if ends:
            candidate["finishReason"] = "STOP"
        usage = {"promptTokenCount": 7, "candidatesTokenCount": 3, "totalTokenCount": 10}
        return {"candidates": [candidate], "usageMetadata": usage}


@pytest.fixture
async def gemini() -> AsyncIterator[Gemini]:
    stand_in = Gemini()
    application = web.Application()
    application.router.add_post("/{path:.*}", stand_in.answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    stand_in.address = site.name
    host, port = runner.addresses[0][:2]
    stand_in.address = f"http://{host}:{port}"
    yield stand_in
    await runner.cleanup()


@pytest.fixture(params=["translated here", "by litellm"])
async def providers(request: pytest.FixtureRequest) -> AsyncIterator[Calls]:
    loopback = Reachability(PrivateHost.read("localhost"))
    ours = Providers(connect=2, silence=5, reachability=loopback)
    await ours.open()
    yield ours if request.param == "translated here" else ByLitellm(5, loopback)
    await ours.close()


@pytest.fixture
def target(gemini: Gemini) -> Target:
    return Target("flash", "gemini", "gemini-2.5-flash", gemini.address, "its-key", 1, 1)


def asking(prompt: str, *, stream: bool = False, **fields: Any) -> ChatRequest:
    message = {"role": "user", "content": prompt}
    values = {"messages": (message,), "stream": stream, "max_tokens": 50} | fields
    return ChatRequest("free-gemini-flash", **values)


async def test_an_answer_has_openais_shape_and_the_providers_tokens(
    providers: Calls, target: Target, gemini: Gemini
) -> None:
    body = await providers.complete(target, asking("Hello"))
    [choice] = body["choices"]
    assert choice["message"]["content"] == "Hello there"
    assert choice["finish_reason"] == "stop"
    assert reported(body["usage"]) == TokenUsage(7, 3)
    assert gemini.keys == ["its-key"]
    assert gemini.bodies[0]["generationConfig"]["max_output_tokens"] == 50


async def test_a_stream_has_openais_shape_and_the_providers_tokens(
    providers: Calls, target: Target
) -> None:
    report = StreamReport()
    chunks = [chunk async for chunk in providers.stream(target, asking("Hello", stream=True))]
    for chunk in chunks:
        report.saw(chunk)
    said = "".join(
        choice["delta"].get("content", "") for chunk in chunks for choice in chunk["choices"]
    )
    assert said == "Hello there"
    assert report.tokens(0) == TokenUsage(7, 3)


TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


async def test_tools_reach_the_provider(providers: Calls, target: Target, gemini: Gemini) -> None:
    await providers.complete(target, asking("Hello", parameters={"tools": [TOOL]}))
    [tools] = gemini.bodies[0]["tools"]
    assert tools["function_declarations"][0]["name"] == "f"


UNTRANSLATABLE: dict[str, dict[str, Any]] = {
    "a tool's answer that no tool was asked for": {
        "messages": ({"role": "tool", "tool_call_id": "nobody's", "content": "1"},)
    },
    "a call whose arguments are no JSON": {
        "messages": (
            {"role": "user", "content": "Hi"},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{"}}
                ],
            },
        )
    },
}


@pytest.mark.parametrize("fields", UNTRANSLATABLE.values(), ids=UNTRANSLATABLE.keys())
async def test_what_litellm_stumbles_over_is_no_fault_of_the_provider_s(
    providers: Calls, target: Target, gemini: Gemini, fields: dict[str, Any]
) -> None:
    with pytest.raises(ProviderUnavailable) as caught:
        await providers.complete(target, asking("Hello", **fields))
    assert caught.value.code == "request_untranslatable"
    assert judged(caught.value.code) is None
    assert gemini.bodies == []


async def test_a_provider_that_is_not_there_is_unreachable(
    providers: Calls, target: Target
) -> None:
    for place in ("403", "401"):  # litellm looks for statuses in the texts of errors
        nobody = replace(target, base_url=f"http://127.0.0.1:9/{place}")
        with pytest.raises(ProviderUnavailable) as caught:
            await providers.complete(nobody, asking("Hello"))
        assert caught.value.code == "provider_unreachable"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_rate_limit_leaves_the_request_to_the_next_deployment(
    providers: Calls, target: Target, *, stream: bool
) -> None:
    with pytest.raises(ProviderUnavailable) as caught:
        await outcome(providers, target, asking("429", stream=stream))
    assert caught.value.code == "provider_rate_limited"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_refusal_is_quoted_without_litellms_class_names(
    providers: Calls, target: Target, *, stream: bool
) -> None:
    with pytest.raises(ProviderRejected) as caught:
        await outcome(providers, target, asking("400", stream=stream))
    assert str(caught.value) == "The provider refused the request: As asked."


async def test_a_stream_that_breaks_off_is_cut(providers: Calls, target: Target) -> None:
    with pytest.raises(StreamCut):
        await outcome(providers, target, asking("cut", stream=True))


async def test_nobody_there_leaves_the_request_to_the_next_deployment(
    providers: Calls, target: Target
) -> None:
    nowhere = replace(target, base_url="http://127.0.0.1:1")
    with pytest.raises(ProviderUnavailable):
        await outcome(providers, nowhere, asking("Hello"))


async def test_a_key_from_the_environment_is_never_sent(
    providers: Calls, target: Target, gemini: Gemini, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", "the-operators")
    await providers.complete(replace(target, api_key=None), asking("Hello"))
    assert "the-operators" not in str(gemini.keys)


async def test_a_remote_image_is_refused_and_nobody_fetches_it(
    providers: Calls, target: Target, gemini: Gemini
) -> None:
    image = {"type": "image_url", "image_url": {"url": f"{gemini.address}/image.png"}}
    message = {"role": "user", "content": [image]}
    with pytest.raises(InvalidRequest, match="data: URLs only"):
        await providers.complete(target, ChatRequest("free-gemini-flash", (message,)))
    assert gemini.bodies == []


async def outcome(providers: Calls, target: Target, request: ChatRequest) -> None:
    """Takes the answer to its end."""
    if request.stream:
        async for _ in providers.stream(target, request):
            pass
    else:
        await providers.complete(target, request)
