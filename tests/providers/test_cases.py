"""Every provider, in every way that it can be called: the same answers to the same questions."""

import json
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest

from gateway.errors import ProviderFailure, ProviderRejected, ProviderUnavailable, StreamCut
from gateway.providers.client import Providers
from gateway.providers.reachability import PrivateHost, Reachability
from gateway.token_report import StreamReport, reported
from gateway.types import ChatRequest, Target, TokenUsage
from tests.providers.anthropic_wire import AnthropicWire
from tests.providers.calls import ByLitellm, Calls
from tests.providers.cases import CASES, ERRORS, FINISH, Case, asking
from tests.providers.gemini_wire import GeminiWire
from tests.providers.openai_dialects import DIALECTS
from tests.providers.standin import (
    RETRY_AFTER,
    WAITING,
    Misbehave,
    Refuse,
    Say,
    StandIn,
    Wire,
    listening,
)

OURS, LITELLM = "ours", "litellm's"
WIRES: Final[dict[str, tuple[Wire, str]]] = {
    "anthropic": (AnthropicWire(), OURS),
    "anthropic, by litellm": (AnthropicWire(), LITELLM),
    "gemini": (GeminiWire(), OURS),
    "gemini, by litellm": (GeminiWire(), LITELLM),
    **{one.name: (one, OURS) for one in DIALECTS},
}


@pytest.fixture(params=WIRES, name="wire")
def _wire(request: pytest.FixtureRequest) -> tuple[Wire, str]:
    return WIRES[request.param]


@pytest.fixture
async def stand_in(wire: tuple[Wire, str]) -> AsyncIterator[StandIn]:
    async with listening(wire[0]) as stand_in:
        yield stand_in


@pytest.fixture
def silence(request: pytest.FixtureRequest) -> float:
    """Seconds: long, but where a provider is to be silent."""
    marked = request.node.callspec.params.get("how")
    return 0.3 if marked == "silent" else 30.0


@pytest.fixture
async def calls(wire: tuple[Wire, str], silence: float) -> AsyncIterator[Calls]:
    loopback = Reachability(PrivateHost.read("localhost"))
    providers = Providers(connect=5, silence=silence, reachability=loopback)
    await providers.open()
    yield providers if wire[1] == OURS else ByLitellm(silence, loopback)
    await providers.close()


@pytest.fixture
def target(stand_in: StandIn) -> Target:
    wire = stand_in.wire
    return Target("one", wire.provider, wire.model, stand_in.base_url, "sk-theirs", 1, 1)


async def streamed(calls: Calls, target: Target, request: ChatRequest) -> list[dict[str, Any]]:
    wanted = ChatRequest(
        request.model,
        request.messages,
        stream=True,
        max_tokens=request.max_tokens,
        choices=request.choices,
        parameters=request.parameters,
    )
    return [chunk async for chunk in calls.stream(target, wanted)]


def together(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    """The message that a stream's deltas come to, as a client puts it together."""
    said: dict[str, Any] = {"content": "", "reasoning": "", "calls": {}, "finish": None}
    for chunk in chunks:
        for choice in chunk["choices"]:
            delta = choice["delta"]
            said["content"] += delta.get("content") or ""
            said["reasoning"] += delta.get("reasoning_content") or delta.get("reasoning") or ""
            for call in delta.get("tool_calls") or ():
                known = said["calls"].setdefault(call["index"], {"name": "", "arguments": ""})
                function = call.get("function") or {}
                known["name"] += function.get("name") or ""
                known["arguments"] += function.get("arguments") or ""
            said["finish"] = choice.get("finish_reason") or said["finish"]
    return said


def require_said(say: Say, said: dict[str, Any]) -> None:
    assert said["content"] == say.text
    assert said["reasoning"] == "".join(say.reasoning)
    assert said["finish"] == FINISH[say.finish]
    assert [(one["name"], json.loads(one["arguments"])) for one in said["calls"]] == [
        (call.name, json.loads(call.arguments)) for call in say.calls
    ]


def usage_of(say: Say) -> TokenUsage:
    return TokenUsage(say.prompt_tokens, say.completion_tokens, say.cached_tokens)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_a_whole_answer(calls: Calls, target: Target, stand_in: StandIn, case: Case) -> None:
    stand_in.script = case.say
    body = await calls.complete(target, case.request)

    message = body["choices"][0]["message"]
    require_said(
        case.say,
        {
            "content": message.get("content") or "",
            "reasoning": message.get("reasoning_content") or message.get("reasoning") or "",
            "finish": body["choices"][0]["finish_reason"],
            "calls": [one["function"] for one in message.get("tool_calls") or ()],
        },
    )
    assert reported(body["usage"]) == usage_of(case.say)
    if case is not CASES["an image"] or getattr(stand_in.wire, "takes_images", True):
        assert case.reached(json.dumps(stand_in.asked[0], ensure_ascii=False))


@pytest.mark.parametrize("cut_every", [0, 7], ids=["event by event", "cut every 7 bytes"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_a_stream(
    calls: Calls, target: Target, stand_in: StandIn, case: Case, cut_every: int
) -> None:
    stand_in.script, stand_in.cut_every = case.say, cut_every
    chunks = await streamed(calls, target, case.request)

    said = together(chunks)
    require_said(case.say, said | {"calls": list(said["calls"].values())})
    report = StreamReport()
    for chunk in chunks:
        report.saw(chunk)
    assert report.tokens(0) == usage_of(case.say)


@pytest.mark.parametrize("kind", ERRORS)
async def test_a_refusal(calls: Calls, target: Target, stand_in: StandIn, kind: str) -> None:
    stand_in.script = Refuse(kind)
    for call in (calls.complete(target, asking()), streamed(calls, target, asking())):
        with pytest.raises(ProviderFailure) as caught:
            await call
        expected = ProviderRejected if kind == "bad request" else ProviderUnavailable
        assert type(caught.value) is expected
        code = ERRORS[kind]
        assert caught.value.code in ({code} if isinstance(code, str) else code)
        assert "sk-theirs" not in str(caught.value)
        wait = RETRY_AFTER if kind in WAITING else None
        assert caught.value.wait == wait


@pytest.mark.parametrize("how", ["silent", "cut before", "rubbish", "empty"])
async def test_no_answer_leaves_the_request_to_another_provider(
    calls: Calls, target: Target, stand_in: StandIn, how: str
) -> None:
    stand_in.script = Misbehave(how)
    for call in (calls.complete(target, asking()), streamed(calls, target, asking())):
        with pytest.raises(ProviderUnavailable) as caught:
            await call
        assert caught.value.code.startswith("provider_")


@pytest.mark.parametrize("how", ["cut after", "error after"])
async def test_a_stream_that_breaks_off_is_cut(
    calls: Calls, target: Target, stand_in: StandIn, how: str
) -> None:
    stand_in.script = Misbehave(how)
    with pytest.raises(StreamCut):
        await streamed(calls, target, asking())
