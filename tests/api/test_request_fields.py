"""What of a request reaches the provider, and in what form."""

import httpx

from tests.api.asking import COMPLETIONS, asking
from tests.api.conftest import LedgerRows
from tests.conftest import Person
from tests.upstream.double import UpstreamDouble


async def test_a_provider_is_told_no_maximum_where_neither_plan_nor_request_has_one(
    client: httpx.AsyncClient, alice: Person, upstream: UpstreamDouble
) -> None:
    response = await client.post(COMPLETIONS, json=asking(), headers=alice.headers)

    assert response.status_code == 200
    assert upstream.log()[0]["maximum"] is None


async def test_each_of_several_choices_may_be_as_long_as_was_asked(
    client: httpx.AsyncClient, bob: Person, upstream: UpstreamDouble, ledger_rows: LedgerRows
) -> None:
    response = await client.post(COMPLETIONS, json=asking(n=3, max_tokens=50), headers=bob.headers)

    assert [choice["index"] for choice in response.json()["choices"]] == [0, 1, 2]
    [row], [call] = await ledger_rows(), upstream.log()
    assert (call["choices"], call["maximum"]) == (3, 50)
    assert row["completion_tokens"] == 3 * 8
    assert row["reserved_tokens"] >= row["prompt_tokens"] + 3 * 50


async def test_the_provider_gets_every_known_field_and_no_label(
    client: httpx.AsyncClient, bob: Person, upstream: UpstreamDouble
) -> None:
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
    schema = {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}}}
    known = {
        "temperature": 0.5,
        "top_p": 0.9,
        "stop": ["\n"],
        "seed": 7,
        "presence_penalty": 0.1,
        "frequency_penalty": 0.2,
        "logprobs": True,
        "top_logprobs": 2,
        "response_format": schema,
        "tools": [tool],
        "tool_choice": "auto",
        "parallel_tool_calls": False,
    }
    labels = {"user": "u-1", "metadata": {"a": "b"}, "store": False, "service_tier": "auto"}
    response = await client.post(COMPLETIONS, json=asking() | known | labels, headers=bob.headers)

    assert response.status_code == 200
    [call] = upstream.log()
    assert set(call["fields"]) == {"model", "messages", "max_tokens", *known}
    assert call["user"] is None


async def test_nulls_count_as_absent_as_sdks_send_them(
    client: httpx.AsyncClient, bob: Person, upstream: UpstreamDouble
) -> None:
    nulls = dict.fromkeys(
        ("temperature", "stop", "seed", "tools", "n", "max_tokens", "stream", "user")
    )
    response = await client.post(COMPLETIONS, json=asking() | nulls, headers=bob.headers)

    assert response.status_code == 200
    assert upstream.log()[0]["fields"] == ["max_tokens", "messages", "model"]


async def test_an_answer_that_is_sent_back_as_it_came_is_taken(
    client: httpx.AsyncClient, bob: Person, upstream: UpstreamDouble
) -> None:
    call = {
        "id": "call_1",
        "index": 0,
        "type": "function",
        "function": {"name": "f", "arguments": "{}"},
    }
    answered = {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "annotations": [],
        "audio": None,
        "function_call": None,
        "reasoning_content": "I should call f.",
        "tool_calls": [call],
    }
    messages = [
        {"role": "user", "content": "Call f"},
        answered,
        {"role": "tool", "tool_call_id": "call_1", "content": "done"},
    ]
    response = await client.post(COMPLETIONS, json=asking(messages=messages), headers=bob.headers)

    assert response.status_code == 200


async def test_a_body_of_several_megabytes_is_served(
    client: httpx.AsyncClient, alice: Person, upstream: UpstreamDouble
) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 4_000_000}}
    messages = [{"role": "user", "content": [{"type": "text", "text": "What is this?"}, image]}]
    response = await client.post(COMPLETIONS, json=asking(messages=messages), headers=alice.headers)

    assert response.status_code == 200
    assert upstream.received() == 1
