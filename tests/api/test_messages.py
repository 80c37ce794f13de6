"""`POST /v1/messages`: what Anthropic's clients ask, over any model, and what it leaves behind."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import orjson
import pytest

from tests.api.anthropic_asking import COUNT_TOKENS, MESSAGES, asking, events_of, text_of
from tests.api.asking import COMPLETIONS, Json
from tests.api.conftest import CountersOf, LedgerRows, Serve, SetPlan, Untouched
from tests.api.raw_http import RawConnection
from tests.api.repeating import keyed
from tests.conftest import Person
from tests.gateway.provider import Provider, event, standing_in
from tests.upstream.double import UpstreamDouble
from tests.waiting import until

TOOL = {"name": "weather", "input_schema": {"type": "object"}}
INPUT = {"city": "Zürich", "days": 2}  # as the upstream calls it


async def ask(client: httpx.AsyncClient, person: Person, **fields: Any) -> Json:
    """A whole message, which is given."""
    response = await client.post(MESSAGES, json=asking(**fields), headers=person.headers)
    assert response.status_code == 200, response.text
    answer: Json = response.json()
    return answer


async def stream(client: httpx.AsyncClient, person: Person, **fields: Any) -> list[Json]:
    """A stream's events."""
    body = asking(**fields) | {"stream": True}
    response = await client.post(MESSAGES, json=body, headers=person.headers)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    return events_of(response.text)


@pytest.fixture
async def provider(serve: Serve) -> AsyncIterator[Provider]:
    """A provider of the model `tested` that notes what it is asked."""
    async with standing_in() as provider:
        await serve(deployments={"noting": {"base_url": provider.address}})
        yield provider


async def test_an_answer_is_a_message_with_the_id_of_its_request(
    client: httpx.AsyncClient, bob: Person, ledger_rows: LedgerRows, counters: CountersOf
) -> None:
    body = asking(script={"tokens": 3})
    response = await client.post(MESSAGES, json=body, headers={"x-api-key": bob.secret})

    answer, [row] = response.json(), await ledger_rows()
    assert answer == {
        "id": f"msg_{response.headers['request-id'].removeprefix('req_')}",
        "type": "message",
        "role": "assistant",
        "model": "double-small",
        "content": [{"type": "text", "text": " quick river carries"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": row["prompt_tokens"],
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": 3,
        },
        "scalix": answer["scalix"],  # the first answer's upgrade prompt
    }
    assert answer["scalix"]["upgrade_prompt"]["upgrade_url"]
    assert (row["status"], row["charged"], row["model"]) == ("settled", True, "scalix-free")
    used = await counters(bob)
    assert (used.hour_requests, used.in_flight) == (1, 0)
    assert used.day_tokens == row["prompt_tokens"] + 3


async def test_the_headers_say_what_is_left_in_anthropic_s_names_and_ours(
    client: httpx.AsyncClient, bob: Person, alice: Person
) -> None:
    response = await client.post(MESSAGES, json=asking(), headers=bob.headers)

    headers, usage = response.headers, response.json()["usage"]
    left = str(10_000 - usage["input_tokens"] - usage["output_tokens"])
    assert headers["x-scalix-provider"] == "upstream"
    assert headers["x-ratelimit-remaining-requests"] == "9"
    assert headers["anthropic-ratelimit-requests-limit"] == "10"
    assert headers["anthropic-ratelimit-requests-remaining"] == "9"
    assert headers["anthropic-ratelimit-requests-reset"].endswith(":00:00Z")
    assert headers["anthropic-ratelimit-tokens-limit"] == "10000"
    assert headers["anthropic-ratelimit-tokens-remaining"] == left
    assert headers["anthropic-ratelimit-tokens-reset"].endswith("T00:00:00Z")
    assert "anthropic-ratelimit-tokens-reset" in headers["access-control-expose-headers"]
    unlimited = await client.post(MESSAGES, json=asking(), headers=alice.headers)
    assert not [name for name in unlimited.headers if "ratelimit" in name]
    openai_s = await client.get("/v1/key", headers=bob.headers)
    assert not [name for name in openai_s.headers if "anthropic" in name]


async def test_the_maximum_is_kept_and_lowered_to_what_is_left_of_the_day(
    client: httpx.AsyncClient, bob: Person, upstream: UpstreamDouble
) -> None:
    answer = await ask(client, bob, script={"tokens": 9}, max_tokens=4)
    body = asking(script={"tokens": 8_000}, max_tokens=8_000)
    await client.post(MESSAGES, json=body, headers=bob.headers)
    less = await client.post(MESSAGES, json=asking(max_tokens=9_000), headers=bob.headers)

    assert (answer["stop_reason"], answer["usage"]["output_tokens"]) == ("max_tokens", 4)
    lowered = int(less.headers["x-scalix-max-tokens"])
    assert lowered < 2_000
    assert [call["maximum"] for call in upstream.log()] == [4, 8_000, lowered]


async def test_the_provider_gets_openai_s_request(
    client: httpx.AsyncClient, alice: Person, provider: Provider
) -> None:
    image = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
    messages = [
        {"role": "user", "content": [{"type": "text", "text": "What is this?"},
                                     {"type": "image", "source": image}]},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "Hm.", "signature": ""},
            {"type": "tool_use", "id": "t1", "name": "weather", "input": INPUT}]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "t1", "content": "Sunny"}]},
    ]  # fmt: skip
    fields = {
        "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 5,
        "stop_sequences": ["END"],
        "tools": [TOOL | {"cache_control": {"type": "ephemeral"}}],
        "tool_choice": {"type": "tool", "name": "weather", "disable_parallel_tool_use": True},
        "metadata": {"user_id": "u-1"},
        "service_tier": "auto",
        "thinking": {"type": "enabled", "budget_tokens": 2048},
    }
    await ask(client, alice, model="tested", messages=messages, **fields)

    function = {"name": "weather", "arguments": '{"city":"Zürich","days":2}'}
    picture = {"url": "data:image/png;base64,iVBORw0KGgo="}
    assert provider.asked == [
        {
            "model": "double-large",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": [{"type": "text", "text": "What is this?"},
                                             {"type": "image_url", "image_url": picture}]},
                {"role": "assistant", "content": None, "tool_calls": [
                    {"id": "t1", "type": "function", "function": function}]},
                {"role": "tool", "content": "Sunny", "tool_call_id": "t1"},
            ],
            "max_tokens": 100,
            "temperature": 0.5,
            "top_p": 0.9,
            "stop": ["END"],
            "tools": [{"type": "function",
                       "function": {"name": "weather", "parameters": {"type": "object"}}}],
            "tool_choice": {"type": "function", "function": {"name": "weather"}},
            "parallel_tool_calls": False,
            "reasoning_effort": "medium",
        }
    ]  # fmt: skip


async def test_a_tool_is_called_whole_and_in_a_stream(
    client: httpx.AsyncClient, bob: Person, ledger_rows: LedgerRows
) -> None:
    answer = await ask(client, bob, script={"tool": "weather"}, tools=[TOOL])
    events = await stream(client, bob, script={"tool": "weather"}, tools=[TOOL])

    block = {"type": "tool_use", "id": "call_1", "name": "weather", "input": INPUT}
    assert answer["content"] == [block]
    [started] = [one for one in events if one["type"] == "content_block_start"]
    assert started["content_block"] == block | {"input": {}}
    pieces = [one["delta"] for one in events if one["type"] == "content_block_delta"]
    assert {piece["type"] for piece in pieces} == {"input_json_delta"}
    assert json.loads("".join(piece["partial_json"] for piece in pieces)) == INPUT
    assert answer["stop_reason"] == events[-2]["delta"]["stop_reason"] == "tool_use"
    assert [row["charged"] for row in await ledger_rows()] == [True, True]


async def test_reasoning_is_shown_to_whoever_asked_for_it(
    client: httpx.AsyncClient, alice: Person, provider: Provider
) -> None:
    said = {"role": "assistant", "content": "Hi", "reasoning_content": "Hm."}
    provider.body = orjson.dumps({"choices": [{"message": said, "finish_reason": "stop"}]})
    thinking = {"type": "enabled", "budget_tokens": 1024}

    shown = await ask(client, alice, model="tested", thinking=thinking)
    hidden = await ask(client, alice, model="tested")

    text = {"type": "text", "text": "Hi"}
    thought = {"type": "thinking", "thinking": "Hm.", "signature": ""}
    assert (shown["content"], hidden["content"]) == ([thought, text], [text])


async def test_what_was_read_from_a_cache_is_said_apart(
    client: httpx.AsyncClient, alice: Person, provider: Provider, ledger_rows: LedgerRows
) -> None:
    chunk = {"choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": "stop"}]}
    details = {"prompt_tokens_details": {"cached_tokens": 30}}
    usage = {"prompt_tokens": 40, "completion_tokens": 1} | details
    done = event(b"[DONE]")
    provider.pieces = [event(chunk), event({"choices": [], "usage": usage}), done]

    *_, ended, _ = await stream(client, alice, model="tested")

    assert ended["usage"] == {
        "input_tokens": 10,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 30,
        "output_tokens": 1,
    }
    assert (await ledger_rows())[0]["prompt_tokens"] == 40


async def test_a_stream_tells_what_it_took_and_is_settled_before_it_ends(
    client: httpx.AsyncClient, bob: Person, ledger_rows: LedgerRows, counters: CountersOf
) -> None:
    events = await stream(client, bob, script={"tokens": 4})

    assert [one["type"] for one in events[:3]] == ["message_start", "ping", "content_block_start"]
    assert [one["type"] for one in events[-3:]] == [
        "content_block_stop", "message_delta", "message_stop",
    ]  # fmt: skip
    assert text_of(events) == " quick river carries small"
    [row] = await ledger_rows()
    assert (row["status"], row["charged"], row["streamed"]) == ("settled", True, True)
    assert events[0]["message"]["usage"]["input_tokens"] == row["prompt_tokens"]
    assert events[-2]["usage"]["input_tokens"] == row["prompt_tokens"]
    assert events[-2]["usage"]["output_tokens"] == row["completion_tokens"] == 4
    assert (await counters(bob)).in_flight == 0


async def test_text_that_arrives_split_inside_a_character_is_whole(
    client: httpx.AsyncClient, bob: Person
) -> None:
    events = await stream(client, bob, script={"tokens": 5, "vocabulary": "multibyte", "split": 7})

    assert text_of(events) == " für não über können più"


async def test_an_answer_without_content_is_free(
    client: httpx.AsyncClient, bob: Person, ledger_rows: LedgerRows, counters: CountersOf
) -> None:
    assert (await ask(client, bob, script={"tokens": 0}))["content"] == []
    events = await stream(client, bob, script={"tokens": 0})

    kinds = [one["type"] for one in events]
    assert kinds == ["message_start", "ping", "message_delta", "message_stop"]
    endings = [(row["status"], row["charged"]) for row in await ledger_rows()]
    assert endings == [("settled", False)] * 2
    assert (await counters(bob)).hour_requests == 0


async def test_a_stream_that_is_cut_ends_in_an_error_event_and_is_free(
    client: httpx.AsyncClient, bob: Person, ledger_rows: LedgerRows, counters: CountersOf
) -> None:
    for fault in ("cut", "error-event", "garbage"):
        script = {"tokens": 9, "fault": fault, "after": 2}
        *events, last = await stream(client, bob, script=script)

        assert text_of(events) == " quick river", fault
        row = (await ledger_rows())[-1]
        assert last["type"] == "error"
        assert last["error"]["type"] == "api_error"
        assert last["error"]["code"] == row["error_code"] == "stream_cut"
        assert last["error"]["metadata"]["refunded"] is True
        assert last["request_id"].removeprefix("req_") in events[0]["message"]["id"]
        assert (row["status"], row["charged"]) == ("failed", False)
    assert (await counters(bob)).day_tokens == 0


async def test_whoever_hangs_up_pays_for_what_was_said(
    address: str,
    bob: Person,
    upstream: UpstreamDouble,
    ledger_rows: LedgerRows,
    counters: CountersOf,
) -> None:
    body = json.dumps(asking(script={"tokens": 50, "stall": 3}, stream=True)).encode()
    async with RawConnection(address) as connection:
        await connection.post(MESSAGES, bob.headers, body)
        await connection.read_until(b" carries")
        connection.hang_up()

        async def has_ended() -> bool:
            return [row["status"] for row in await ledger_rows()] == ["cancelled"]

        await until(has_ended)

    [row] = await ledger_rows()
    assert (row["charged"], row["completion_tokens"]) == (True, 3)
    await asyncio.to_thread(upstream.wait_until, lambda double: double.open_calls() == 0)
    used = await counters(bob)
    assert (used.in_flight, used.day_tokens) == (0, row["prompt_tokens"] + 3)


@pytest.mark.parametrize("streams", [False, True])
async def test_a_key_that_is_sent_again_gives_the_same_message(
    client: httpx.AsyncClient,
    bob: Person,
    upstream: UpstreamDouble,
    counters: CountersOf,
    streams: bool,
) -> None:
    body = asking(script={"tokens": 4, "tool": "weather"}, tools=[TOOL], stream=streams)
    first, again = [await client.post(MESSAGES, json=body, headers=keyed(bob)) for _ in range(2)]

    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["x-scalix-original-request-id"] == first.headers["request-id"]
    assert again.headers["anthropic-ratelimit-requests-remaining"] == "9"
    if streams:
        start, *rest = events_of(again.text)
        assert rest == events_of(first.text)[1:]  # the first start had the prompt as counted here
        assert start["message"]["id"] == events_of(first.text)[0]["message"]["id"]
    else:
        prompt = {"scalix": first.json()["scalix"]}  # is shown once
        assert again.json() | prompt == first.json()
    assert upstream.received() == 1
    assert (await counters(bob)).hour_requests == 1


async def test_a_key_of_one_endpoint_is_not_the_other_s(
    client: httpx.AsyncClient, bob: Person
) -> None:
    await client.post(COMPLETIONS, json=asking(), headers=keyed(bob))
    response = await client.post(MESSAGES, json=asking(), headers=keyed(bob))

    assert response.status_code == 422
    assert response.json()["error"]["code"] == "idempotency_key_reused"


async def test_tokens_are_counted_free(
    client: httpx.AsyncClient, bob: Person, upstream: UpstreamDouble, untouched: Untouched
) -> None:
    body = {"model": "scalix-free", "messages": [{"role": "user", "content": "Say something"}]}
    plain, more = [
        await client.post(COUNT_TOKENS, json=body | fields, headers=bob.headers)
        for fields in ({}, {"system": "Be brief.", "tools": [TOOL]})
    ]

    assert plain.headers["anthropic-ratelimit-requests-remaining"] == "10"
    await untouched(bob)
    assert more.json()["input_tokens"] > plain.json()["input_tokens"]
    answer = await ask(client, bob, messages=body["messages"])
    assert plain.json() == {"input_tokens": answer["usage"]["input_tokens"]}


async def test_tokens_are_counted_when_every_limit_is_reached(
    client: httpx.AsyncClient, bob: Person, set_plan: SetPlan
) -> None:
    await set_plan("free", requests_per_hour=0, tokens_per_day=0)
    body = {"model": "scalix-free", "messages": [{"role": "user", "content": "Hello"}]}
    response = await client.post(COUNT_TOKENS, json=body, headers=bob.headers)

    assert response.status_code == 200
    assert response.headers["anthropic-ratelimit-requests-remaining"] == "0"
