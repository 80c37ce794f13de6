"""`GET /v1/key` and `GET /api/v1/limits`: they work at any quota, and use nothing."""

import httpx
import pytest

from tests.api.asking import COMPLETIONS, arrival, asking, in_background
from tests.api.conftest import CountersOf, LedgerRows, SetPlan
from tests.conftest import Person
from tests.upstream.double import UpstreamDouble


@pytest.mark.parametrize(
    "path", ["/v1/key", "/api/v1/limits", "/v1/models", "/v1/models/scalix-free"]
)
async def test_looking_up_works_at_the_end_of_every_quota_and_uses_nothing(
    client: httpx.AsyncClient,
    bob: Person,
    set_plan: SetPlan,
    counters: CountersOf,
    ledger_rows: LedgerRows,
    path: str,
) -> None:
    await set_plan("free", requests_per_hour=1, requests_per_day=1, tokens_per_day=120)
    await client.post(COMPLETIONS, json=asking(script={"tokens": 99}), headers=bob.headers)
    before = await counters(bob)
    assert before.hour_requests == 1

    for _ in range(3):
        response = await client.get(path, headers=bob.headers)
        assert response.status_code == 200
        assert response.headers["x-ratelimit-remaining-requests"] == "0"

    after = await counters(bob)
    assert (after.hour_requests, after.day_requests) == (1, 1)
    assert (after.day_tokens, after.in_flight) == (before.day_tokens, 0)
    assert len(await ledger_rows()) == 1


async def test_key_shows_each_limit_and_which_comes_first(
    client: httpx.AsyncClient, bob: Person
) -> None:
    answer = await client.post(COMPLETIONS, json=asking(), headers=bob.headers)
    used = answer.json()["usage"]["total_tokens"]

    body = (await client.get("/v1/key", headers=bob.headers)).json()

    assert (body["plan"], body["account"]) == ("free", "bob@example.com")
    assert body["token"]["name"] == "bob's laptop"
    assert bob.secret not in str(body)
    limits = body["limits"]
    assert set(limits) == {
        "requests_per_hour",
        "requests_per_day",
        "tokens_per_day",
        "concurrent_requests",
        "address_requests_per_minute",
        "address_requests_per_hour",
        "address_accounts_per_hour",
    }
    minute = limits["address_requests_per_minute"]
    assert (minute["scope"], minute["used"], minute["max"]) == ("address", 1, 30)
    hour = limits["requests_per_hour"]
    assert (hour["used"], hour["max"], hour["remaining"]) == (1, 10, 9)
    assert 0 < hour["resets_in_seconds"] <= 3600
    day = limits["tokens_per_day"]
    assert (day["used"], day["max"], day["remaining"]) == (used, 10_000, 10_000 - used)
    assert limits["concurrent_requests"] == {
        "scope": "account",
        "used": 0,
        "max": 2,
        "remaining": 2,
        "resets_at": None,
        "resets_in_seconds": None,
    }
    assert body["binding_limit"] == "requests_per_hour"


async def test_a_plan_without_limits_names_none_as_the_first_to_come(
    client: httpx.AsyncClient, alice: Person
) -> None:
    body = (await client.get("/v1/key", headers=alice.headers)).json()

    assert (body["plan"], body["binding_limit"]) == ("pro", None)
    assert body["limits"]["tokens_per_day"]["max"] is None
    assert body["limits"]["tokens_per_day"]["remaining"] is None


async def test_looking_up_does_not_wait_for_running_requests(
    client: httpx.AsyncClient, bob: Person, upstream: UpstreamDouble
) -> None:
    held = asking(script={"id": "held", "hold": "gate"})
    async with in_background(client.post(COMPLETIONS, json=held, headers=bob.headers)):
        await arrival(upstream, "held")
        body = (await client.get("/v1/key", headers=bob.headers)).json()

    assert body["limits"]["concurrent_requests"]["used"] == 1
    assert body["limits"]["requests_per_hour"]["used"] == 1
