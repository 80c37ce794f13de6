"""`x-scalix-cache`: the same answer again for exactly the same request, free of charge."""

from dataclasses import replace
from typing import Any

import httpx
import pytest
import redis

from gateway.runtime import Gateway
from tests.api.asking import COMPLETIONS, asking, error_of, events_of, text_of
from tests.api.conftest import CountersOf, LedgerRows, Serve, SetPlan
from tests.conftest import Person
from tests.servers import PrivateServers
from tests.upstream.double import UpstreamDouble

CACHE = "x-scalix-cache"
HOUR = {CACHE: "3600"}


async def ask(
    client: httpx.AsyncClient,
    gateway: Gateway,
    person: Person,
    headers: dict[str, str] = HOUR,
    **body: Any,
) -> httpx.Response:
    reply = await client.post(COMPLETIONS, json=asking(**body), headers=person.headers | headers)
    await gateway.cache.finish()
    return reply


@pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])
async def test_the_second_time_it_costs_nothing_and_says_so(
    client: httpx.AsyncClient,
    gateway: Gateway,
    bob: Person,
    upstream: UpstreamDouble,
    ledger_rows: LedgerRows,
    counters: CountersOf,
    stream: bool,
) -> None:
    options = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
    first = await ask(client, gateway, bob, **options)
    used = await counters(bob)
    again = await ask(client, gateway, bob, **options)

    assert (first.status_code, again.status_code) == (200, 200)
    assert (first.headers[CACHE], again.headers[CACHE]) == ("miss", "hit")
    assert int(again.headers["age"]) in range(60)
    assert again.headers["x-scalix-original-request-id"] == first.headers["x-request-id"]
    assert again.headers["x-scalix-provider"] == first.headers["x-scalix-provider"]
    assert again.headers["x-ratelimit-remaining-tokens"] is not None
    assert "idempotent-replayed" not in again.headers
    if stream:
        old, new = events_of(first.text), events_of(again.text)
        assert text_of(new) == text_of(old)
        assert new[-2:] == old[-2:]  # the usage and [DONE]
    else:
        assert again.json() == {k: v for k, v in first.json().items() if k != "scalix"}
    assert replace(await counters(bob), at_ms=used.at_ms) == used
    assert len(await ledger_rows()) == upstream.received() == 1


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({}, {}),
        ({CACHE: "0"}, {}),
        (HOUR, {"text": "Something else"}),
        (HOUR, {"temperature": 0.5}),
        (HOUR, {"max_tokens": 5}),
        (HOUR, {"n": 2}),
        (HOUR, {"stream": True}),
        (HOUR, {"models": ["scalix-auto"]}),
        (HOUR | {"idempotency-key": "k"}, {}),
    ],
)
async def test_whatever_else_is_asked_is_asked_anew(
    client: httpx.AsyncClient,
    gateway: Gateway,
    alice: Person,
    upstream: UpstreamDouble,
    headers: dict[str, str],
    body: dict[str, Any],
) -> None:
    await ask(client, gateway, alice)
    reply = await ask(client, gateway, alice, headers, **body)
    assert reply.status_code == 200
    assert reply.headers.get(CACHE) != "hit"
    assert upstream.received() == 2


async def test_nobody_gets_an_answer_of_somebody_else(
    client: httpx.AsyncClient, gateway: Gateway, alice: Person, bob: Person
) -> None:
    await ask(client, gateway, alice)
    assert (await ask(client, gateway, bob)).headers[CACHE] == "miss"


async def test_a_model_may_ask_for_it_and_a_request_decline(
    client: httpx.AsyncClient, gateway: Gateway, alice: Person, serve: Serve
) -> None:
    await serve("kept", cache_seconds=60)
    assert (await ask(client, gateway, alice, {}, model="kept")).headers[CACHE] == "miss"
    assert (await ask(client, gateway, alice, {}, model="kept")).headers[CACHE] == "hit"
    assert CACHE not in (await ask(client, gateway, alice, {CACHE: "0"}, model="kept")).headers


@pytest.mark.parametrize(
    "script", [{"fault": "500"}, {"tokens": 0}, {"fault": "400"}], ids=["down", "empty", "refused"]
)
async def test_what_was_not_charged_is_not_kept(
    client: httpx.AsyncClient,
    gateway: Gateway,
    alice: Person,
    flush: "redis.Redis",
    script: dict[str, Any],
) -> None:
    await ask(client, gateway, alice, script=script)
    assert list(flush.scan_iter("*:answer:*")) == []


async def test_an_answer_that_a_quota_cut_short_is_not_kept(
    client: httpx.AsyncClient, gateway: Gateway, bob: Person, set_plan: SetPlan
) -> None:
    await set_plan("free", tokens_per_day=150)
    first = await ask(client, gateway, bob, max_tokens=1_000)
    assert "x-scalix-max-tokens" in first.headers
    await set_plan("free", tokens_per_day=10_000)
    assert (await ask(client, gateway, bob, max_tokens=1_000)).headers[CACHE] == "miss"


async def test_its_time_is_over_when_it_said(
    client: httpx.AsyncClient, gateway: Gateway, alice: Person, flush: "redis.Redis"
) -> None:
    await ask(client, gateway, alice, {CACHE: "120"})
    [key] = flush.scan_iter("*:answer:*")
    assert 100 < flush.ttl(key) <= 120  # type: ignore[operator]


@pytest.mark.parametrize("value", ["yes", "-1", "1.5", "86401", "9999999999999"])
async def test_what_is_no_number_of_seconds_is_refused(
    client: httpx.AsyncClient, alice: Person, upstream: UpstreamDouble, value: str
) -> None:
    headers = alice.headers | {CACHE: value}
    refused = await client.post(COMPLETIONS, json=asking(), headers=headers)
    assert refused.status_code == 400
    assert error_of(refused)["param"] == CACHE
    assert upstream.received() == 0


async def test_after_a_move_to_a_smaller_plan_its_models_are_closed_cached_or_not(
    client: httpx.AsyncClient, gateway: Gateway, bob: Person, serve: Serve
) -> None:
    await serve("dear")
    assert (await ask(client, gateway, bob, model="dear")).headers[CACHE] == "miss"
    await serve("dear", tier="pro")
    assert (await ask(client, gateway, bob, model="dear")).status_code == 403


async def test_without_the_store_nothing_is_given_unmetered(
    client: httpx.AsyncClient, gateway: Gateway, alice: Person, servers: PrivateServers
) -> None:
    await ask(client, gateway, alice)
    servers.valkey.kill()
    try:
        assert (await ask(client, gateway, alice)).status_code == 503
    finally:
        servers.valkey.start()
