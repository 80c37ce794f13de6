"""What a user prefers and avoids, at `/api/v1/preferences`, and `models` to fall back on."""

from typing import Any

import httpx
import pytest

from gateway.runtime import Gateway
from tests.api.asking import COMPLETIONS, asking, error_of, events_of
from tests.api.conftest import CountersOf, LedgerRows, Serve, Untouched
from tests.conftest import Person
from tests.waiting import until

PREFERENCES = "/api/v1/preferences"


async def put(client: httpx.AsyncClient, person: Person, **body: Any) -> httpx.Response:
    """The reply, once what it says is known to the gateway."""
    written = await client.put(PREFERENCES, json=body, headers=person.headers)

    async def are_known() -> bool:
        known = await client.get(PREFERENCES, headers=person.headers)
        return bool(known.json() == written.json())

    if written.status_code == 200:
        await until(are_known)
    return written


async def provider_of(client: httpx.AsyncClient, person: Person, **body: Any) -> str:
    reply = await client.post(
        COMPLETIONS, json=asking(model="pool", **body), headers=person.headers
    )
    assert reply.status_code == 200, reply.text
    return reply.headers["x-scalix-provider"]


@pytest.fixture
async def pool(serve: Serve) -> None:
    """`pool` is served by two deployments, each of which has a model of its own."""
    await serve("pool", deployments={"first": {}, "second": {}})
    await serve("model-one", deployments={"first": {}})
    await serve("model-two", deployments={"second": {}})


async def test_they_act_within_a_second_on_pools_and_consume_nothing(
    client: httpx.AsyncClient, alice: Person, bob: Person, pool: None, counters: CountersOf
) -> None:
    assert await provider_of(client, alice) == "first"
    written = await put(client, alice, preferred_models=["model-two"])
    assert written.status_code == 200
    assert written.json() == {
        "object": "preferences",
        "preferred_models": ["model-two"],
        "avoided_models": [],
    }
    assert (await counters(alice)).hour_requests == 1
    assert await provider_of(client, alice) == "second"
    assert await provider_of(client, bob) == "first"


async def test_an_avoided_model_is_never_asked_not_even_when_the_other_fails(
    client: httpx.AsyncClient, alice: Person, pool: None, ledger_rows: LedgerRows
) -> None:
    await put(client, alice, avoided_models=["model-one"])
    fault = {"script": {"fault": "500"}}
    refused = await client.post(
        COMPLETIONS, json=asking(model="pool", **fault), headers=alice.headers
    )
    assert refused.status_code == 503
    [row] = await ledger_rows()
    assert [one["deployment"] for one in row["attempts"]] == ["second"]
    assert not row["charged"]


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({"preferred_models": ["nobody"]}, "model_not_found", "preferred_models"),
        ({"avoided_models": ["nobody"]}, "model_not_found", "avoided_models"),
        ({"preferred": ["model-one"]}, "invalid_request", "preferred"),
        ({"preferred_models": ["model-one"] * 21}, "invalid_request", "preferred_models"),
        ({"preferred_models": "model-one"}, "invalid_request", "preferred_models"),
        (
            {"preferred_models": ["model-one"], "avoided_models": ["model-one"]},
            "invalid_request",
            "avoided_models",
        ),
    ],
)
async def test_what_makes_no_sense_is_refused_and_changes_nothing(
    client: httpx.AsyncClient,
    alice: Person,
    pool: None,
    body: dict[str, Any],
    code: str,
    param: str,
) -> None:
    refused = await put(client, alice, **body)
    error = error_of(refused)
    assert refused.status_code in (400, 404)
    assert (error["code"], error["param"]) == (code, param)
    known = await client.get(PREFERENCES, headers=alice.headers)
    assert known.json()["preferred_models"] == []


async def test_a_stranger_has_none(client: httpx.AsyncClient, pool: None) -> None:
    assert (await client.get(PREFERENCES)).status_code == 401
    assert (await client.put(PREFERENCES, json={})).status_code == 401


@pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])
async def test_models_to_fall_back_on_answer_when_the_first_can_not(
    client: httpx.AsyncClient,
    alice: Person,
    serve: Serve,
    gateway: Gateway,
    ledger_rows: LedgerRows,
    stream: bool,
) -> None:
    await serve("down", deployments={"down-one": {"base_url": "http://127.0.0.1:9/v1"}})
    await serve("pool", deployments={"first": {}})
    body = asking(model="down", models=["down", "pool"], stream=stream)
    reply = await client.post(COMPLETIONS, json=body, headers=alice.headers)
    assert reply.status_code == 200
    assert reply.headers["x-scalix-provider"] == "first"
    if stream:
        assert events_of(reply.text)[-1] == "[DONE]"
    [row] = await ledger_rows()
    assert (row["model"], row["deployment"]) == ("down", "first")


async def test_every_model_to_fall_back_on_must_be_one_that_the_caller_may_use(
    client: httpx.AsyncClient, bob: Person, serve: Serve, untouched: Untouched
) -> None:
    await serve("pool")
    await serve("dear", tier="pro")
    for name, status, code in (
        ("dear", 403, "model_not_in_plan"),
        ("nobody", 404, "model_not_found"),
    ):
        body = asking(model="pool", models=[name])
        refused = await client.post(COMPLETIONS, json=body, headers=bob.headers)
        assert refused.status_code == status
        assert error_of(refused)["code"] == code
    await untouched(bob)


async def test_a_request_is_sent_to_a_deployment_that_can_do_what_it_needs(
    client: httpx.AsyncClient, alice: Person, serve: Serve, ledger_rows: LedgerRows
) -> None:
    await serve("pool", deployments={"plain": {"takes_tools": False}, "able": {}})
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
    assert await provider_of(client, alice) == "plain"
    assert await provider_of(client, alice, tools=tools) == "able"
    await serve("plain-only", deployments={"plain": {"takes_tools": False}})
    refused = await client.post(
        COMPLETIONS, json=asking(model="plain-only", tools=tools), headers=alice.headers
    )
    assert refused.status_code == 400
    assert error_of(refused)["code"] == "not_supported_by_model"
    assert [row["charged"] for row in await ledger_rows()] == [True, True, False]
