"""What only one provider does, or only rarely, and the form in which requests reach each."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gateway.errors import ProviderFailure, ProviderRejected, ProviderUnavailable, StreamCut
from gateway.providers.client import Providers
from gateway.providers.reachability import PrivateHost, Reachability
from gateway.token_report import CompletionReport, StreamReport
from gateway.types import ChatRequest, EmbeddingRequest, Target, TokenUsage
from tests.providers.anthropic_wire import AnthropicWire
from tests.providers.cases import ERRORS, WEATHER, asking
from tests.providers.gemini_wire import GeminiWire
from tests.providers.openai_dialects import DIALECTS
from tests.providers.standin import Exactly, Refuse, StandIn, Wire, listening

Json = dict[str, Any]
ANTHROPIC, GEMINI, OPENAI = AnthropicWire(), GeminiWire(), DIALECTS[0]
OLDER_CLAUDE = "claude-sonnet-4-5"  # whose thinking has a budget


@pytest.fixture
async def providers() -> AsyncIterator[Providers]:
    loopback = Reachability(PrivateHost.read("localhost"))
    providers = Providers(connect=5, silence=30, reachability=loopback)
    await providers.open()
    yield providers
    await providers.close()


@asynccontextmanager
async def standing_in(wire: Wire, *, model: str = "") -> AsyncIterator[tuple[StandIn, Target]]:
    async with listening(wire) as stand_in:
        upstream = model or wire.model
        yield stand_in, Target("one", wire.provider, upstream, stand_in.base_url, "sk", 1, 1)


async def whole(providers: Providers, wire: Wire, answer: Json) -> Json:
    async with standing_in(wire) as (stand_in, target):
        stand_in.script = Exactly(whole=answer)
        return await providers.complete(target, asking())


async def stream(providers: Providers, wire: Wire, *data: Json) -> list[Json]:
    async with standing_in(wire) as (stand_in, target):
        stand_in.script = Exactly(data=data)
        return [chunk async for chunk in providers.stream(target, asking(stream=True))]


async def sent(providers: Providers, wire: Wire, request: ChatRequest, *, model: str = "") -> Json:
    """The body that a request reaches the provider with."""
    async with standing_in(wire, model=model) as (stand_in, target):
        await providers.complete(target, request)
        return stand_in.asked[0]


def tokens_of(chunks: list[Json]) -> TokenUsage:
    report = StreamReport()
    for chunk in chunks:
        report.saw(chunk)
    return report.tokens(50)


# Usage


def message(**fields: Any) -> Json:
    text = {"type": "text", "text": "Hello there"}
    return {"type": "message", "content": [text], "stop_reason": "end_turn", **fields}


def messages_events(*, opening: Json | None, closing: Json | None) -> list[Json]:
    block: Json = {"type": "text", "text": ""}
    delta: Json = {"type": "text_delta", "text": "Hello there"}
    end: Json = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}
    return [
        {"type": "message_start", "message": {"usage": opening} if opening else {}},
        {"type": "content_block_start", "index": 0, "content_block": block},
        {"type": "content_block_delta", "index": 0, "delta": delta},
        {"type": "content_block_stop", "index": 0},
        end | ({"usage": closing} if closing else {}),
        {"type": "message_stop"},
    ]


@pytest.mark.parametrize(
    "usage", [None, {}, {"input_tokens": 7}, {"input_tokens": "7", "output_tokens": 3}, "much"]
)
async def test_what_anthropic_does_not_report_is_counted(providers: Providers, usage: Any) -> None:
    body = await whole(providers, ANTHROPIC, message(usage=usage))

    assert CompletionReport(body).tokens(50) == TokenUsage(50, 2, estimated=True)


@pytest.mark.parametrize(
    ("opening", "closing"),
    [
        (None, None),
        ({"input_tokens": 7, "output_tokens": 1}, None),
        (None, {"output_tokens": 3}),
        ({"input_tokens": 7, "output_tokens": 1}, {"output_tokens": None}),
    ],
)
async def test_what_anthropic_does_not_report_of_a_stream_is_counted(
    providers: Providers, opening: Json | None, closing: Json | None
) -> None:
    events = messages_events(opening=opening, closing=closing)

    chunks = await stream(providers, ANTHROPIC, *events)
    assert tokens_of(chunks) == TokenUsage(50, 2, estimated=True)


def answer(*, usage: Any, finish: str | None = "STOP", index: int = 0, **part: Any) -> Json:
    content = {"role": "model", "parts": [part or {"text": "Hello there"}]}
    candidate = {"index": index, "content": content, **({"finishReason": finish} if finish else {})}
    return {"candidates": [candidate], "usageMetadata": usage}


GEMINI_USAGE: dict[str, tuple[Any, TokenUsage]] = {
    "none": (None, TokenUsage(50, 2, estimated=True)),
    "the prompt's alone": ({"promptTokenCount": 7}, TokenUsage(50, 2, estimated=True)),
    "rubbish": (
        {"promptTokenCount": "7", "candidatesTokenCount": 3},
        TokenUsage(50, 2, estimated=True),
    ),
    "no candidates": ({"promptTokenCount": 7, "totalTokenCount": 7}, TokenUsage(7, 0)),
    "thoughts beside the answer": (
        {
            "promptTokenCount": 7,
            "candidatesTokenCount": 3,
            "thoughtsTokenCount": 5,
            "totalTokenCount": 15,
        },
        TokenUsage(7, 8),
    ),
    "thoughts within the answer": (
        {
            "promptTokenCount": 7,
            "candidatesTokenCount": 8,
            "thoughtsTokenCount": 5,
            "totalTokenCount": 15,
        },
        TokenUsage(7, 8),
    ),
}


@pytest.mark.parametrize(("usage", "tokens"), GEMINI_USAGE.values(), ids=GEMINI_USAGE)
async def test_what_gemini_reports_is_counted_once_and_what_it_does_not_is_counted_here(
    providers: Providers, usage: Any, tokens: TokenUsage
) -> None:
    body = await whole(providers, GEMINI, answer(usage=usage))
    assert CompletionReport(body).tokens(50) == tokens

    chunks = await stream(providers, GEMINI, answer(usage=usage))
    assert tokens_of(chunks) == tokens


async def test_gemini_may_correct_its_usage_after_the_last_word(providers: Providers) -> None:
    early = {"promptTokenCount": 7, "candidatesTokenCount": 1, "totalTokenCount": 8}
    late = early | {"candidatesTokenCount": 3, "totalTokenCount": 10}

    chunks = await stream(providers, GEMINI, answer(usage=early), {"usageMetadata": late})
    assert [chunk["usage"]["completion_tokens"] for chunk in chunks if "usage" in chunk] == [3]


# Anthropic's peculiarities


async def test_a_streamed_tool_without_arguments_has_an_empty_object(providers: Providers) -> None:
    block = {"type": "tool_use", "id": "t1", "name": "now", "input": {}}
    delta = {"type": "input_json_delta", "partial_json": ""}
    events = messages_events(opening={"input_tokens": 7}, closing={"output_tokens": 3})
    events[1] |= {"content_block": block}
    events[2] |= {"delta": delta}
    events[4] |= {"delta": {"stop_reason": "tool_use"}}

    chunks = await stream(providers, ANTHROPIC, *events)
    calls = [
        call
        for chunk in chunks
        for choice in chunk["choices"]
        for call in choice["delta"].get("tool_calls") or ()
    ]
    assert "".join(call["function"]["arguments"] for call in calls) == "{}"
    assert chunks[-2]["choices"][0]["finish_reason"] == "tool_calls"


async def test_a_schema_whose_only_field_is_called_values_is_answered_as_it_is(
    providers: Providers,
) -> None:
    schema = {"type": "object", "properties": {"values": {"type": "array"}}}
    wanted = {"type": "json_schema", "json_schema": {"name": "list", "schema": schema}}
    block = {
        "type": "tool_use",
        "id": "t1",
        "name": "json_tool_call",
        "input": {"values": [1, 2]},
    }
    async with standing_in(ANTHROPIC, model="claude-3-haiku-20240307") as (stand_in, target):
        stand_in.script = Exactly(whole=message(content=[block], stop_reason="tool_use"))
        body = await providers.complete(target, asking(parameters={"response_format": wanted}))

    [choice] = body["choices"]
    assert choice["message"]["content"] == '{"values":[1,2]}'
    assert choice["finish_reason"] == "stop"


@pytest.mark.parametrize(
    ("most", "budget"), [(None, 4096), (8000, 4096), (4096, 4095), (1025, 1024), (1024, None)]
)
async def test_a_budget_for_thoughts_is_less_than_the_answer_may_be_long(
    providers: Providers, most: int | None, budget: int | None
) -> None:
    request = asking(max_tokens=most, parameters={"reasoning_effort": "high"})

    body = await sent(providers, ANTHROPIC, request, model=OLDER_CLAUDE)
    assert body.get("thinking", {}).get("budget_tokens") == budget
    assert budget is None or body["max_tokens"] > budget


async def test_thinking_leaves_no_sampling_to_be_set(providers: Providers) -> None:
    parameters = {"reasoning_effort": "low", "temperature": 0.2, "top_p": 0.5}
    request = asking(max_tokens=4000, parameters=parameters)

    body = await sent(providers, ANTHROPIC, request, model=OLDER_CLAUDE)
    assert body["thinking"]["budget_tokens"] == 1024
    assert not {"temperature", "top_p"} & body.keys()


async def test_a_tool_that_must_be_called_leaves_no_time_to_think(providers: Providers) -> None:
    parameters = {"reasoning_effort": "low", "tools": [WEATHER], "tool_choice": "required"}
    request = asking(max_tokens=4000, parameters=parameters)

    body = await sent(providers, ANTHROPIC, request, model=OLDER_CLAUDE)
    assert "thinking" not in body
    assert body["tool_choice"]["type"] == "any"


TOOL_CALL = {"type": "function", "function": {"name": "weather", "arguments": "{}"}}


def after_a_call(call_id: str, **fields: Any) -> ChatRequest:
    parameters = {"tools": [WEATHER]} | fields
    messages = (
        {"role": "user", "content": "How is it?"},
        {"role": "assistant", "content": None, "tool_calls": [TOOL_CALL | {"id": call_id}]},
        {"role": "tool", "tool_call_id": call_id, "content": "Rain"},
    )
    return asking(messages=messages, max_tokens=4000, parameters=parameters)


async def test_after_a_call_whose_thoughts_are_gone_there_are_none(providers: Providers) -> None:
    request = after_a_call("t1", reasoning_effort="low")

    assert "thinking" not in await sent(providers, ANTHROPIC, request, model=OLDER_CLAUDE)


# Developers, signatures


@pytest.mark.parametrize("wire", [ANTHROPIC, GEMINI, *DIALECTS], ids=lambda one: str(one.provider))
async def test_a_developer_is_heard_by_every_provider(providers: Providers, wire: Wire) -> None:
    messages = ({"role": "developer", "content": "Be brief."}, *asking().messages)

    body = await sent(providers, wire, asking(messages=messages))
    assert "Be brief." in str(body)
    assert "developer" not in str(body)


async def test_a_reasoning_model_of_openai_s_hears_developers_as_such(providers: Providers) -> None:
    messages = ({"role": "developer", "content": "Be brief."}, *asking().messages)

    body = await sent(providers, OPENAI, asking(messages=messages), model="o3-mini")
    assert body["messages"][0] == {"role": "developer", "content": "Be brief."}


async def test_gemini_gets_its_signature_back_with_the_call(providers: Providers) -> None:
    call = {"functionCall": {"name": "weather", "args": {}}, "thoughtSignature": "c2ln" * 500}
    body = await whole(providers, GEMINI, answer(usage=None, **call))
    call_id = body["choices"][0]["message"]["tool_calls"][0]["id"]

    told = await sent(providers, GEMINI, after_a_call(call_id))
    assert told["contents"][1]["parts"][0]["thoughtSignature"] == "c2ln" * 500


@pytest.mark.parametrize("wire", [ANTHROPIC, OPENAI], ids=["anthropic", "openai"])
async def test_nobody_else_gets_gemini_s_signatures(providers: Providers, wire: Wire) -> None:
    body = await sent(providers, wire, after_a_call("call_1__thought__c2ln"))

    assert "c2ln" not in str(body)
    assert str(body).count("call_1") == 2


# What comes in the middle


async def test_a_refusal_in_the_middle_of_an_answer_is_a_cut(providers: Providers) -> None:
    wrong = {"type": "error", "error": {"type": "invalid_request_error", "message": "No."}}
    events = messages_events(opening=None, closing=None)
    with pytest.raises(StreamCut):
        await stream(providers, ANTHROPIC, *events[:3], wrong)

    wrong = {"error": {"code": 400, "message": "No."}}
    with pytest.raises(StreamCut):
        await stream(providers, GEMINI, answer(usage=None, finish=None), wrong)


async def test_a_refusal_before_the_first_word_is_the_caller_s_to_hear(
    providers: Providers,
) -> None:
    for wire in (GEMINI, OPENAI):
        with pytest.raises(ProviderRejected, match="refused the request: No"):
            await stream(providers, wire, {"error": {"code": 400, "message": "No."}})


async def test_an_error_in_place_of_an_answer_is_one_whatever_the_status(
    providers: Providers,
) -> None:
    error = {"error": {"code": 429, "message": "Rate limited upstream"}}
    with pytest.raises(ProviderUnavailable) as caught:
        await whole(providers, OPENAI, error)
    assert caught.value.code == "provider_rate_limited"


# Gemini's choices


async def test_every_choice_begins_with_its_role_and_ends_by_itself(providers: Providers) -> None:
    chunks = await stream(
        providers,
        GEMINI,
        answer(usage=None, finish=None, index=0),
        answer(usage=None, finish=None, index=1),
        answer(usage=None, index=0),
        answer(usage=None, index=1),
    )

    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    roles = [(one["index"], one["delta"].get("role")) for one in choices]
    assert roles == [(0, "assistant"), (1, "assistant"), (0, None), (1, None)]
    assert [one["finish_reason"] for one in choices] == [None, None, "stop", "stop"]


async def test_a_stream_is_cut_where_one_of_its_choices_is(providers: Providers) -> None:
    with pytest.raises(StreamCut):
        await stream(
            providers,
            GEMINI,
            answer(usage=None, finish=None, index=0),
            answer(usage=None, finish=None, index=1),
            answer(usage=None, index=0),
        )


@pytest.mark.parametrize("reason", ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL"])
async def test_a_call_that_is_none_leaves_the_request_to_another_provider(
    providers: Providers, reason: str
) -> None:
    broken = {"candidates": [{"index": 0, "finishReason": reason}]}
    with pytest.raises(ProviderUnavailable):
        await whole(providers, GEMINI, broken)
    with pytest.raises(ProviderUnavailable):
        await stream(providers, GEMINI, broken)
    with pytest.raises(StreamCut):
        await stream(providers, GEMINI, answer(usage=None, finish=None), broken)


# Embeddings


def vectors(*values: list[float]) -> Json:
    data = [{"index": index, "embedding": one} for index, one in enumerate(values)]
    return {"data": data, "usage": {"prompt_tokens": 4, "total_tokens": 4}}


async def embedded(
    providers: Providers, wire: Wire, answer: Json, *texts: str, dimensions: int | None = None
) -> tuple[Json, list[Json]]:
    """What comes of an answer to these texts, and what was asked for it."""
    async with standing_in(wire) as (stand_in, target):
        stand_in.script = Exactly(whole=answer)
        body = await providers.embed(target, EmbeddingRequest("m", texts, dimensions))
        return body, stand_in.asked


@pytest.mark.parametrize("wire", DIALECTS, ids=lambda one: str(one.name))
async def test_vectors_over_openai_s_wire(providers: Providers, wire: Wire) -> None:
    answer = vectors([0.5, -1], [0, 1.25])
    answer["data"].reverse()

    body, asked = await embedded(providers, wire, answer, "one", "two", dimensions=2)
    assert [one["embedding"] for one in body["data"]] == [[0.5, -1], [0, 1.25]]
    assert body["usage"]["prompt_tokens"] == 4
    assert asked == [{"model": wire.model, "input": ["one", "two"], "dimensions": 2}]


async def test_vectors_over_gemini_s_wire_are_asked_for_a_hundred_at_a_time(
    providers: Providers,
) -> None:
    async with standing_in(GEMINI) as (stand_in, target):
        stand_in.script = Exactly(whole={"embeddings": [{"values": [1.0, 2.0]}] * 100})
        request = EmbeddingRequest("m", ("gs://bucket/secret", "files/abc") * 100, 2)
        body = await providers.embed(target, request)
        asked = stand_in.asked

    assert len(body["data"]) == 200
    assert body["usage"] is None
    assert [len(one["requests"]) for one in asked] == [100, 100]
    assert asked[0]["requests"][0] == {
        "model": f"models/{GEMINI.model}",
        "outputDimensionality": 2,
        "content": {"parts": [{"text": "gs://bucket/secret"}]},  # a text like any other
    }


BROKEN_LISTS: dict[str, Json] = {
    "nothing": {},
    "no list": {"data": {}},
    "too few": vectors([1.0]),
    "too many": vectors([1.0], [1.0], [1.0]),
    "an empty one": vectors([1.0], []),
    "of two lengths": vectors([1.0], [1.0, 2.0]),
    "no numbers": {"data": [{"index": 0, "embedding": ["1"]}, {"index": 1, "embedding": [1]}]},
    "in base-64": {"data": [{"index": 0, "embedding": "AA=="}, {"index": 1, "embedding": "AA=="}]},
    "no places": {"data": [{"embedding": [1.0]}, {"embedding": [1.0]}]},
}


@pytest.mark.parametrize("answer", BROKEN_LISTS.values(), ids=BROKEN_LISTS)
async def test_anything_but_a_vector_for_each_text_is_no_answer(
    providers: Providers, answer: Json
) -> None:
    for wire in (OPENAI, GEMINI):
        with pytest.raises(ProviderUnavailable) as caught:
            await embedded(providers, wire, answer, "one", "two")
        assert caught.value.code == "provider_bad_response"


@pytest.mark.parametrize("kind", ERRORS)
async def test_a_refusal_of_vectors_is_read_like_any_other(providers: Providers, kind: str) -> None:
    for wire in (OPENAI, GEMINI):
        async with standing_in(wire) as (stand_in, target):
            stand_in.script = Refuse(kind)
            with pytest.raises(ProviderFailure) as caught:
                await providers.embed(target, EmbeddingRequest("m", ("one",)))
        code = ERRORS[kind]
        assert caught.value.code in ({code} if isinstance(code, str) else code)
