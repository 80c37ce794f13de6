"""Each limit: who reaches it is told which, how much when, and is not made to hammer."""

import asyncio
import datetime as dt

import httpx

from billing.models import Plan
from tests.api.asking import COMPLETIONS, asking, error_of, in_background
from tests.api.conftest import CountersOf, LedgerRows, Serve, SetPlan
from tests.conftest import Person
from tests.upstream.double import UpstreamDouble
from tests.waiting import until


def seconds_of(wire: str) -> int:
    """`11h6m40s` in seconds."""
    total, number = 0, ""
    for symbol in wire:
        if symbol.isdigit():
            number += symbol
        else:
            total += int(number) * {"h": 3600, "m": 60, "s": 1}[symbol]
            number = ""
    return total


async def test_the_eleventh_request_of_an_hour_is_refused_and_names_its_limit(
    client: httpx.AsyncClient,
    bob: Person,
    upstream: UpstreamDouble,
    ledger_rows: LedgerRows,
    counters: CountersOf,
) -> None:
    for _ in range(10):
        response = await client.post(COMPLETIONS, json=asking(), headers=bob.headers)
        assert response.status_code == 200
    assert response.headers["x-ratelimit-remaining-requests"] == "0"
    before = await counters(bob)

    response = await client.post(COMPLETIONS, json=asking(), headers=bob.headers)

    assert response.status_code == 429
    error = error_of(response)
    assert error["code"] == error["type"] == "insufficient_quota"
    assert error["param"] is None
    metadata = error["metadata"]
    assert (metadata["limit"], metadata["scope"]) == ("requests_per_hour", "account")
    assert (metadata["used"], metadata["max"], metadata["plan"]) == (10, 10, "free")
    assert metadata["upgrade_url"] == "http://testserver/pricing/?from=limit_reached"
    assert metadata["docs_url"].startswith("http://testserver/docs/")
    resets_at = dt.datetime.fromisoformat(metadata["resets_at"])
    assert (resets_at.minute, resets_at.second) == (0, 0)
    # The message stands alone: some SDKs print nothing else.
    assert error["message"].startswith("Hourly free limit reached: 10 of 10 requests. Resets ")
    assert f"{resets_at:%H:%M} UTC (in " in error["message"]
    assert error["message"].endswith(f"Upgrade: {metadata['upgrade_url']}")
    assert len(await ledger_rows()) == upstream.received() == 10
    assert (await counters(bob)).day_tokens == before.day_tokens
    assert (await counters(bob)).hour_requests == 10


async def test_a_refusal_s_headers_keep_sdks_from_retrying_and_from_sleeping(
    client: httpx.AsyncClient, bob: Person, set_plan: SetPlan
) -> None:
    await set_plan("free", requests_per_hour=None, requests_per_day=1)
    await client.post(COMPLETIONS, json=asking(), headers=bob.headers)

    response = await client.post(COMPLETIONS, json=asking(), headers=bob.headers)

    headers, metadata = response.headers, error_of(response)["metadata"]
    assert metadata["limit"] == "requests_per_day"
    assert metadata["resets_at"].endswith("T00:00:00Z")
    assert headers["x-should-retry"] == "false"
    # An hour's Retry-After would make some SDKs sleep for it.
    assert ("retry-after" in headers) == (metadata["resets_in_seconds"] <= 60)
    assert headers["x-ratelimit-limit-requests"] == "1"
    assert headers["x-ratelimit-remaining-requests"] == "0"
    assert seconds_of(headers["x-ratelimit-reset-requests"]) == metadata["resets_in_seconds"]
    assert headers["ratelimit-policy"] == '"requests-day";q=1;w=86400'
    assert headers["ratelimit"] == f'"requests-day";r=0;t={metadata["resets_in_seconds"]}'
    assert headers["x-ratelimit-limit-tokens"] == "10000"
    assert headers["x-scalix-plan"] == "free"


async def test_the_limit_with_the_longest_wait_is_the_one_that_is_named(
    client: httpx.AsyncClient, bob: Person, set_plan: SetPlan
) -> None:
    await set_plan("free", requests_per_hour=1, requests_per_day=1)
    await client.post(COMPLETIONS, json=asking(), headers=bob.headers)

    response = await client.post(COMPLETIONS, json=asking(), headers=bob.headers)

    assert error_of(response)["metadata"]["limit"] == "requests_per_day"


async def test_a_day_s_tokens_are_used_up_to_the_last_and_then_refused(
    client: httpx.AsyncClient,
    bob: Person,
    set_plan: SetPlan,
    ledger_rows: LedgerRows,
    upstream: UpstreamDouble,
) -> None:
    await set_plan("free", tokens_per_day=200)
    body = asking(script={"tokens": 200})
    first = await client.post(COMPLETIONS, json=body, headers=bob.headers)
    second = await client.post(COMPLETIONS, json=body, headers=bob.headers)

    assert first.status_code == 200
    assert first.json()["choices"][0]["finish_reason"] == "length"
    assert second.status_code == 429
    error = error_of(second)
    assert error["metadata"]["limit"] == "tokens_per_day"
    assert error["metadata"]["used"] <= error["metadata"]["max"] == 200
    assert error["message"].startswith("Daily free limit reached: ")
    assert second.headers["x-should-retry"] == "false"
    assert len(await ledger_rows()) == upstream.received() == 1


async def test_a_plan_that_names_no_maximum_reserves_the_model_s_within_the_day_s_tokens(
    client: httpx.AsyncClient,
    bob: Person,
    set_plan: SetPlan,
    serve: Serve,
    upstream: UpstreamDouble,
    ledger_rows: LedgerRows,
) -> None:
    await set_plan("free", default_max_tokens=None)
    await serve("short", max_output_tokens=300)
    await client.post(COMPLETIONS, json=asking(model="short"), headers=bob.headers)

    [row], [call] = await ledger_rows(), upstream.log()
    assert call["maximum"] == 300
    assert row["reserved_tokens"] >= row["prompt_tokens"] + 300


async def test_a_third_request_at_once_is_to_be_tried_again_in_a_second(
    client: httpx.AsyncClient,
    bob: Person,
    upstream: UpstreamDouble,
    ledger_rows: LedgerRows,
    counters: CountersOf,
) -> None:
    held = asking(script={"id": "held", "hold": "gate"})
    async with (
        in_background(client.post(COMPLETIONS, json=held, headers=bob.headers)) as first,
        in_background(client.post(COMPLETIONS, json=held, headers=bob.headers)) as second,
    ):
        await asyncio.to_thread(upstream.wait_until, lambda double: double.open_calls() == 2)

        response = await client.post(COMPLETIONS, json=asking(), headers=bob.headers)

        assert response.status_code == 429
        error = error_of(response)
        assert (error["code"], error["type"]) == ("rate_limit_exceeded", "rate_limit_error")
        assert error["metadata"]["limit"] == "concurrent_requests"
        assert (error["metadata"]["used"], error["metadata"]["max"]) == (2, 2)
        assert error["message"].endswith("Please try again in 1s.")
        assert response.headers["retry-after"] == "1"
        assert "x-should-retry" not in response.headers
        assert len(await ledger_rows()) == 2
        assert (await counters(bob)).hour_requests == 2

        upstream.release("gate")
        assert {(await first).status_code, (await second).status_code} == {200}
    again = await client.post(COMPLETIONS, json=asking(), headers=bob.headers)
    assert again.status_code == 200


async def test_a_burst_of_a_hundred_gets_no_more_than_the_hour_and_no_more_at_once(
    client: httpx.AsyncClient, bob: Person, upstream: UpstreamDouble, ledger_rows: LedgerRows
) -> None:
    body = asking(script={"account": "bob", "first": 0.005})

    async def one() -> httpx.Response:
        return await client.post(COMPLETIONS, json=body, headers=bob.headers)

    statuses: list[int] = []
    while statuses.count(200) < 10:
        responses = await asyncio.gather(*(one() for _ in range(100)))
        statuses += [response.status_code for response in responses]
        limits = {
            error_of(response)["metadata"]["limit"]
            for response in responses
            if response.status_code != 200
        }
        assert limits <= {"concurrent_requests", "requests_per_hour"}

    assert set(statuses) == {200, 429}
    assert statuses.count(200) == 10
    assert [row["status"] for row in await ledger_rows()] == ["settled"] * 10
    assert upstream.max_at_once("bob") <= 2


async def test_an_edited_plan_acts_soon_on_a_token_in_use(
    client: httpx.AsyncClient, bob: Person
) -> None:
    await client.post(COMPLETIONS, json=asking(), headers=bob.headers)  # now the look-up is cached
    await Plan.objects.filter(tier="free").aupdate(requests_per_hour=1)

    async def refused() -> bool:
        response = await client.get("/v1/key", headers=bob.headers)
        return bool(response.json()["limits"]["requests_per_hour"]["max"] == 1)

    await until(refused)
    response = await client.post(COMPLETIONS, json=asking(), headers=bob.headers)
    assert response.status_code == 429
