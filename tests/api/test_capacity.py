"""A provider's own limits: another one is asked before it would have to refuse."""

import asyncio
from collections import Counter

import httpx
import pytest

from gateway.runtime import Gateway
from tests.api.asking import COMPLETIONS, FREE_COMPLETION, asking, error_of, events_of
from tests.api.conftest import CountersOf, LedgerRows, Serve
from tests.conftest import Person
from tests.gateway.provider import event, standing_in
from tests.upstream.double import UpstreamDouble

SMALL = {"requests_per_minute": 5, "tokens_per_day": 1_000_000}


async def ask(client: httpx.AsyncClient, person: Person, **body: object) -> httpx.Response:
    body = asking(model="pooled", **body)  # type: ignore[arg-type]
    return await client.post(COMPLETIONS, json=body, headers=person.headers)


@pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])
async def test_exactly_what_it_allows_goes_to_it_and_the_rest_to_the_next(
    client: httpx.AsyncClient,
    alice: Person,
    serve: Serve,
    ledger_rows: LedgerRows,
    stream: bool,
) -> None:
    await serve("pooled", deployments={"small": SMALL, "large": {}})
    replies = await asyncio.gather(*(ask(client, alice, stream=stream) for _ in range(12)))

    assert {reply.status_code for reply in replies} == {200}
    served = Counter(reply.headers["x-scalix-provider"] for reply in replies)
    assert served == {"small": 5, "large": 7}
    rows = await ledger_rows()
    tried = Counter(
        tuple((one["deployment"], one["outcome"]) for one in row["attempts"]) for row in rows
    )
    assert tried == {
        (("small", "completed"),): 5,
        (("small", "capacity_taken"), ("large", "completed")): 7,
    }


async def test_when_all_is_taken_it_says_when_to_come_again_and_charges_nothing(
    client: httpx.AsyncClient,
    alice: Person,
    serve: Serve,
    upstream: UpstreamDouble,
    ledger_rows: LedgerRows,
    counters: CountersOf,
) -> None:
    await serve("pooled", deployments={"small": SMALL, "other": SMALL})
    replies = [await ask(client, alice) for _ in range(11)]

    assert [reply.status_code for reply in replies] == [200] * 10 + [503]
    error = error_of(replies[-1])
    seconds = error["metadata"]["retry_after_seconds"]
    assert replies[-1].headers["retry-after"] == str(seconds)
    assert 55 <= seconds <= 61
    assert "x-should-retry" not in replies[-1].headers  # an SDK may wait so long
    assert f"Try again in {seconds} s. Nothing was charged." in error["message"]
    assert upstream.received() == 10
    assert [row["status"] for row in await ledger_rows()] == ["settled"] * 10 + ["failed"]
    used = await counters(alice)
    assert (used.hour_requests, used.in_flight) == (10, 0)


async def test_a_day_s_end_is_no_time_for_an_sdk_to_sleep(
    client: httpx.AsyncClient, alice: Person, serve: Serve
) -> None:
    await serve("pooled", deployments={"small": {"requests_per_day": 1}})
    await ask(client, alice)
    refused = await ask(client, alice)

    assert refused.status_code == 503
    if error_of(refused)["metadata"]["retry_after_seconds"] > 60:  # else midnight is near
        assert refused.headers["x-should-retry"] == "false"
        assert "retry-after" not in refused.headers


async def test_what_is_not_used_of_its_tokens_is_there_for_the_next(
    client: httpx.AsyncClient, alice: Person, serve: Serve, gateway: Gateway
) -> None:
    await serve("pooled", deployments={"small": {"tokens_per_minute": 1_000}, "large": {}})
    for stream in (False, True, False):
        reply = await ask(client, alice, stream=stream, max_tokens=800)
        if stream:
            assert events_of(reply.text)[-1] == "[DONE]"
        assert reply.headers["x-scalix-provider"] == "small"
        await gateway.capacity.finish()
    spent = (await gateway.capacity.used("small")).minute_tokens
    assert 0 < spent < 300


async def test_who_failed_gets_its_tokens_back_and_keeps_the_request_counted(
    client: httpx.AsyncClient, alice: Person, bob: Person, serve: Serve, gateway: Gateway
) -> None:
    async with standing_in() as provider:
        small = {"base_url": provider.address, "requests_per_minute": 9}
        await serve("pooled", deployments={"small": small, "large": {}})
        provider.status = 500
        assert (await ask(client, alice)).headers["x-scalix-provider"] == "large"
        provider.status, provider.pieces = 200, [event({"error": {"message": "no"}})]
        await ask(client, bob, stream=True)  # alice is sent elsewhere for a while
    await gateway.capacity.finish()
    used = await gateway.capacity.used("small")
    assert (used.minute_requests, used.minute_tokens) == (2, 0)


async def test_a_free_pool_never_has_its_first_provider_refuse_a_visitor(
    client: httpx.AsyncClient, serve: Serve
) -> None:
    """A provider that counts for itself, and would say 429 to one too many."""
    async with standing_in() as provider:
        small = {"base_url": provider.address, "requests_per_minute": 15}
        await serve("pooled", deployments={"gemini": small, "second": {}})
        replies = await asyncio.gather(
            *(client.post(FREE_COMPLETION, json=asking(model="pooled")) for _ in range(25))
        )
        assert {reply.status_code for reply in replies} == {200}
        assert len(provider.asked) == 15
