"""`POST /v1/responses`: OpenAI's Responses over chat completions, with the same promises."""

import json
from typing import Any

import httpx
import pytest

from tests.api.asking import error_of
from tests.api.conftest import LedgerRows, Untouched
from tests.conftest import Person
from tests.gateway.provider import standing_in
from tests.upstream.double import UpstreamDouble
from tests.upstream.script import marker

RESPONSES = "/v1/responses"
PNG = "data:image/png;base64,iVBORw0KGgo="


def asking(**fields: Any) -> dict[str, Any]:
    return {"model": "scalix-free", "input": "Hello"} | fields


async def respond(client: httpx.AsyncClient, person: Person, **body: Any) -> httpx.Response:
    return await client.post(RESPONSES, json=asking(**body), headers=person.headers)


def events_of(text: str) -> list[dict[str, Any]]:
    return [
        json.loads(line.removeprefix("data: "))
        for line in text.splitlines()
        if line.startswith("data: ")
    ]


async def test_it_is_one_settled_row_with_the_usual_headers(
    client: httpx.AsyncClient, bob: Person, ledger_rows: LedgerRows
) -> None:
    reply = await respond(client, bob, input=f"Hi {marker(tokens=4)}")
    assert reply.status_code == 200
    body = reply.json()
    assert body["output"][0]["content"][0]["text"] == " quick river carries small"
    assert body["usage"]["total_tokens"] == body["usage"]["input_tokens"] + 4
    assert body["store"] is False
    assert reply.headers["x-ratelimit-remaining-requests"]
    [row] = await ledger_rows()
    assert (row["status"], row["charged"]) == ("settled", True)
    assert row["completion_tokens"] == 4


async def test_its_key_gives_the_same_response_again(
    client: httpx.AsyncClient, bob: Person, upstream: UpstreamDouble
) -> None:
    for stream in (False, True):
        headers = bob.headers | {"idempotency-key": f"k-{stream}"}
        body = asking(stream=stream)
        first = await client.post(RESPONSES, json=body, headers=headers)
        again = await client.post(RESPONSES, json=body, headers=headers)
        assert again.headers["idempotent-replayed"] == "true"
        if stream:
            assert events_of(again.text)[-1] == events_of(first.text)[-1] | {
                "sequence_number": events_of(again.text)[-1]["sequence_number"]
            }
        else:
            first_body = {k: v for k, v in first.json().items() if k != "scalix"}
            assert again.json() == first_body
    assert upstream.received() == 2


async def test_events_are_numbered_without_a_gap(client: httpx.AsyncClient, bob: Person) -> None:
    reply = await respond(client, bob, stream=True)
    numbers = [event["sequence_number"] for event in events_of(reply.text)]
    assert numbers == list(range(len(numbers)))


async def test_everything_that_can_be_said_reaches_the_provider(
    client: httpx.AsyncClient, alice: Person, serve: Any
) -> None:
    async with standing_in() as provider:
        await serve("tested", deployments={"one": {"base_url": provider.address}})
        items = [
            {"role": "developer", "content": "Be brief."},
            {
                "type": "message",
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "What?"},
                    {"type": "input_image", "image_url": PNG, "detail": "low"},
                ],
            },
            {"type": "reasoning", "id": "rs_1", "summary": []},
            {
                "role": "assistant",
                "content": [{"type": "output_text", "text": "I look.", "annotations": []}],
            },
            {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
            {"type": "function_call", "call_id": "c2", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "one"},
            {
                "type": "function_call_output",
                "call_id": "c2",
                "output": [{"type": "input_text", "text": "two"}],
            },
        ]
        schema = {"type": "object", "properties": {}}
        reply = await respond(
            client,
            alice,
            model="tested",
            text={"format": {"type": "json_schema", "name": "x", "schema": schema, "strict": True}},
            input=items,
            instructions="Answer in JSON.",
            tools=[{"type": "function", "name": "f", "parameters": schema}],
            tool_choice={"type": "function", "name": "f"},
            reasoning={"effort": "low"},
            max_output_tokens=9,
        )
        assert reply.status_code == 200, reply.text
        [asked] = provider.asked
    assert [message["role"] for message in asked["messages"]] == [
        *("system", "system", "user", "assistant", "tool", "tool"),
    ]
    assert [call["id"] for call in asked["messages"][3]["tool_calls"]] == ["c1", "c2"]
    assert asked["messages"][2]["content"][1]["image_url"] == {"url": PNG, "detail": "low"}
    assert asked["tools"][0]["function"]["name"] == "f"
    assert asked["tool_choice"] == {"type": "function", "function": {"name": "f"}}
    assert asked["response_format"]["json_schema"]["strict"] is True


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"store": True}, "store"),
        ({"background": True}, "background"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0]"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input[0].type"),
        ({"input": [{"role": "user"}]}, "input[0]"),
        ({"input": []}, "input"),
        ({"input": [{"role": "user", "content": [{"type": "input_file"}]}]}, "input[0].content[0]"),
        ({"nonsense": 1}, "nonsense"),
        ({"truncation": "auto"}, "truncation"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
    ],
)
async def test_what_can_not_be_honoured_is_refused_by_its_name_and_costs_nothing(
    client: httpx.AsyncClient,
    bob: Person,
    untouched: Untouched,
    body: dict[str, Any],
    param: str,
) -> None:
    refused = await respond(client, bob, **body)
    assert refused.status_code == 400, refused.text
    assert error_of(refused)["param"].startswith(param)
    await untouched(bob)
