"""What a case of abuse does to requests, how soon it acts and ends, and that it says why."""

import datetime as dt
from typing import Any

import httpx
from asgiref.sync import sync_to_async

from accounts.models import User
from gateway.models import AbuseCase, RequestFingerprint
from gateway.runtime import Gateway
from gateway.safety import cases
from tests.api.asking import COMPLETIONS, FREE_COMPLETION, asking, error_of
from tests.api.conftest import Untouched
from tests.conftest import Person
from tests.waiting import until

HERE = "127.0.0.1"


async def a_case(gateway: Gateway, level: str = "throttle", **fields: Any) -> AbuseCase:
    """An open one that this process knows of."""
    now = dt.datetime.now(dt.UTC)
    values = {
        "level": level,
        "score": 80,
        "reasons": [{"detector": "burst", "points": 80, "text": "160 requests within a minute"}],
        "opened_at": now,
        "changed_at": now,
        "effect_until": now + dt.timedelta(hours=12),
        "judged_to": now,
    }
    case = await AbuseCase.objects.acreate(**values | fields)
    await gateway.guard.refresh()
    return case


async def limits_of(client: httpx.AsyncClient, person: Person) -> dict[str, Any]:
    response = await client.get("/api/v1/limits", headers=person.headers)
    limits: dict[str, Any] = response.json()["limits"]
    return {name: limit["max"] for name, limit in limits.items()}


async def test_an_account_that_is_slowed_down_has_a_quarter(
    gateway: Gateway, client: httpx.AsyncClient, bob: Person
) -> None:
    await a_case(gateway, account_id=bob.account_id)
    limits = await limits_of(client, bob)

    assert (limits["requests_per_hour"], limits["concurrent_requests"]) == (2, 1)
    assert (limits["requests_per_day"], limits["tokens_per_day"]) == (50, 10_000)


async def test_its_refusal_says_that_the_limit_is_lower_and_why(
    gateway: Gateway, client: httpx.AsyncClient, bob: Person
) -> None:
    await a_case(gateway, account_id=bob.account_id)
    for _ in range(2):
        response = await client.post(COMPLETIONS, json=asking(), headers=bob.headers)
        assert response.status_code == 200
    refused = await client.post(COMPLETIONS, json=asking(), headers=bob.headers)

    error = error_of(refused)
    assert (refused.status_code, error["code"]) == (429, "insufficient_quota")
    assert "2 of 2 requests" in error["message"]
    assert (
        "Your account is slowed down to a quarter of its usual requests until" in error["message"]
    )
    assert "160 requests within a minute" in error["message"]
    assert error["metadata"]["throttled"]["appeal_url"] == "http://testserver/dashboard/"


async def test_a_blocked_account_is_refused_and_may_look_up_why(
    gateway: Gateway, client: httpx.AsyncClient, bob: Person, untouched: Untouched
) -> None:
    await a_case(gateway, "block", account_id=bob.account_id)
    response = await client.post(COMPLETIONS, json=asking(), headers=bob.headers)

    error = error_of(response)
    assert (response.status_code, error["code"]) == (403, "account_blocked_for_abuse")
    assert error["metadata"]["reasons"] == ["160 requests within a minute"]
    assert error["metadata"]["until"].endswith("Z")
    assert "say so at http://testserver/dashboard/" in error["message"]
    assert (await client.get("/v1/key", headers=bob.headers)).status_code == 200
    assert (await client.get("/api/v1/limits", headers=bob.headers)).status_code == 200
    await untouched(bob)


async def test_it_acts_and_is_lifted_by_itself_within_moments(
    client: httpx.AsyncClient, bob: Person, gateway: Gateway
) -> None:
    now = dt.datetime.now(dt.UTC)
    case = await AbuseCase.objects.acreate(
        account_id=bob.account_id, level="throttle", score=80, effect_until=now.replace(year=2100)
    )

    async def is_slow() -> bool:
        return (await limits_of(client, bob))["requests_per_hour"] == 2

    async def is_free() -> bool:
        return not await is_slow()

    await until(is_slow)
    staff = await sync_to_async(User.objects.create_user)("root@example.com", is_staff=True)
    await sync_to_async(cases.dismiss)(case.pk, staff, "")
    await until(is_free)


async def test_it_ends_by_the_clock_even_if_nobody_comes_to_end_it(
    gateway: Gateway, client: httpx.AsyncClient, bob: Person
) -> None:
    soon = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=1)
    await a_case(gateway, "block", account_id=bob.account_id, effect_until=soon)

    async def answered() -> bool:
        response = await client.post(COMPLETIONS, json=asking(), headers=bob.headers)
        return response.status_code == 200

    assert not await answered()
    await until(answered)
    assert await AbuseCase.objects.filter(state="open").acount() == 1


async def test_an_account_that_pays_is_left_alone_until_staff_confirm(
    gateway: Gateway, client: httpx.AsyncClient, alice: Person
) -> None:
    case = await a_case(gateway, "block", account_id=alice.account_id)
    before = await client.post(COMPLETIONS, json=asking(), headers=alice.headers)
    staff = await sync_to_async(User.objects.create_user)("root@example.com", is_staff=True)
    await sync_to_async(cases.confirm)(case.pk, staff, "Resold.", "block")
    await gateway.guard.refresh()
    after = await client.post(COMPLETIONS, json=asking(), headers=alice.headers)

    assert (before.status_code, after.status_code) == (200, 403)
    assert error_of(after)["metadata"]["until"] is None


async def test_a_blocked_address_refuses_visitors_and_free_accounts_and_no_others(
    gateway: Gateway, client: httpx.AsyncClient, bob: Person, alice: Person
) -> None:
    await a_case(gateway, "block", address=HERE)
    visitor = await client.post(FREE_COMPLETION, json=asking())
    free = await client.post(COMPLETIONS, json=asking(), headers=bob.headers)
    pro = await client.post(COMPLETIONS, json=asking(), headers=alice.headers)

    assert (visitor.status_code, free.status_code, pro.status_code) == (403, 403, 200)
    assert error_of(visitor)["code"] == "address_blocked_for_abuse"
    assert "Your network address is blocked until" in error_of(free)["message"]


async def test_an_admitted_prompt_leaves_a_fingerprint_and_no_word(
    gateway: Gateway, client: httpx.AsyncClient, bob: Person
) -> None:
    prompt = "Tell me all that there is to know about the rivers of the north, please, and briefly"
    response = await client.post(COMPLETIONS, json=asking(prompt), headers=bob.headers)
    assert response.status_code == 200
    await gateway.guard.write()

    row = await RequestFingerprint.objects.aget()
    assert row.account_id == bob.account_id
    assert b"rivers" not in bytes(row.fingerprint)
    assert len(row.fingerprint) <= 128
