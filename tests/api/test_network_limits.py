"""Limits of a network address: all its accounts together, told by trusted proxies alone."""

import asyncio
from ipaddress import ip_network
from typing import Any

import httpx
import pytest
from pytest_django import Settings

from gateway.runtime import Gateway
from tests.api.asking import COMPLETIONS, asking
from tests.api.conftest import SetPlan
from tests.conftest import Person
from tests.upstream.double import UpstreamDouble

FREE_API = "/api/v1/free/completion"
pytestmark = pytest.mark.usefixtures("old_store")


@pytest.fixture(autouse=True)
def behind_a_proxy(settings: Settings, within_the_minute: None) -> None:
    """The tests' client stands for a proxy that says whom it heard from."""
    settings.TRUSTED_PROXIES = (ip_network("127.0.0.0/8"),)


async def visit(client: httpx.AsyncClient, address: str, **body: Any) -> httpx.Response:
    """A request by somebody new."""
    return await client.post(FREE_API, json=asking(**body), headers={"X-Forwarded-For": address})


def error_in(response: httpx.Response) -> dict[str, Any]:
    return dict(response.json()["error"])


async def rows(gateway: Gateway) -> list[tuple[Any, ...]]:
    return await gateway.reads.fetch(
        "SELECT status, charged, host(address), address_counted FROM billing_ledgerentry"
    )


async def test_the_31st_request_of_a_minute_is_refused_whoever_makes_it(
    client: httpx.AsyncClient, set_plan: SetPlan, gateway: Gateway, upstream: UpstreamDouble
) -> None:
    await set_plan("visitor", address_requests_per_minute=3)
    answers = [await visit(client, "192.0.2.7") for _ in range(4)]

    assert [one.status_code for one in answers] == [200, 200, 200, 429]
    error = error_in(answers[-1])
    assert error["code"] == "rate_limit_exceeded"
    assert error["message"].startswith("Limit of your network address reached: 3 of 3 requests")
    assert error["message"].endswith("s.")  # "Please try again in 12s.": clients parse it
    assert error["metadata"]["limit"] == "address_requests_per_minute"
    assert error["metadata"]["scope"] == "address"
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
    assert "x-should-retry" not in answers[-1].headers
    assert len(await rows(gateway)) == len(upstream.log()) == 3


async def test_another_address_is_not_held_to_it(
    client: httpx.AsyncClient, set_plan: SetPlan
) -> None:
    await set_plan("visitor", address_requests_per_minute=1)
    assert (await visit(client, "192.0.2.7")).status_code == 200
    assert (await visit(client, "192.0.2.7")).status_code == 429
    assert (await visit(client, "192.0.2.8")).status_code == 200


async def test_an_hours_limit_says_when_it_resets_and_lets_no_sdk_wait_for_it(
    client: httpx.AsyncClient, set_plan: SetPlan
) -> None:
    await set_plan("visitor", address_requests_per_hour=1)
    await visit(client, "192.0.2.7")
    refused = await visit(client, "192.0.2.7")
    error = error_in(refused)
    assert (error["code"], error["type"]) == ("insufficient_quota", "insufficient_quota")
    assert "whoever made them. Resets " in error["message"]
    assert refused.headers["x-should-retry"] == "false"


async def test_dropping_the_credential_gains_nothing_beyond_the_address(
    client: httpx.AsyncClient, set_plan: SetPlan
) -> None:
    """Each request here is a new visitor's."""
    await set_plan("visitor", address_accounts_per_hour=3)
    answers = [await visit(client, "192.0.2.7") for _ in range(5)]
    assert [one.status_code for one in answers] == [200, 200, 200, 429, 429]
    assert error_in(answers[3])["metadata"]["limit"] == "address_accounts_per_hour"
    # Whoever was there before goes on.
    headers = {
        "X-Forwarded-For": "192.0.2.7",
        "X-Scalix-Visitor": answers[0].headers["x-scalix-visitor"],
    }
    again = await client.post(FREE_API, json=asking(), headers=headers)
    assert again.status_code == 200


async def test_an_ipv6_network_of_64_bits_counts_as_one(
    client: httpx.AsyncClient, set_plan: SetPlan, gateway: Gateway
) -> None:
    await set_plan("visitor", address_requests_per_minute=2)
    sent = ("2001:db8::1", "2001:db8::ffff:2", "2001:db8:0:0:9::3", "2001:db8:0:1::1")
    answers = [await visit(client, address) for address in sent]
    assert [one.status_code for one in answers] == [200, 200, 429, 200]
    assert {row[2] for row in await rows(gateway)} == {"2001:db8::", "2001:db8:0:1::"}


async def test_free_users_and_visitors_share_an_address_and_pro_users_are_free_of_it(
    client: httpx.AsyncClient, set_plan: SetPlan, bob: Person, alice: Person, gateway: Gateway
) -> None:
    for plan in ("visitor", "free"):
        await set_plan(plan, address_requests_per_minute=2)
    origin = {"X-Forwarded-For": "192.0.2.7"}
    for person in (alice, alice, alice):
        answer = await client.post(COMPLETIONS, json=asking(), headers=person.headers | origin)
        assert answer.status_code == 200
    assert (await visit(client, "192.0.2.7")).status_code == 200
    by_bob = [
        await client.post(COMPLETIONS, json=asking(), headers=bob.headers | origin)
        for _ in range(2)
    ]
    assert [one.status_code for one in by_bob] == [200, 429]
    assert [row[3] for row in await rows(gateway)].count(True) == 2


async def test_a_failed_request_leaves_the_address_as_it_was(
    client: httpx.AsyncClient, set_plan: SetPlan, upstream: UpstreamDouble
) -> None:
    await set_plan("visitor", address_requests_per_minute=1)
    upstream.script(fault="500")
    assert (await visit(client, "192.0.2.7")).status_code == 503
    upstream.reset()
    assert (await visit(client, "192.0.2.7")).status_code == 200


async def test_a_request_that_its_account_is_refused_leaves_the_address_as_it_was(
    client: httpx.AsyncClient, set_plan: SetPlan, bob: Person
) -> None:
    await set_plan("free", requests_per_hour=1, address_requests_per_minute=3)
    origin = {"X-Forwarded-For": "192.0.2.7"}
    for _ in range(4):
        await client.post(COMPLETIONS, json=asking(), headers=bob.headers | origin)
    limits = (await client.get("/v1/key", headers=bob.headers | origin)).json()["limits"]
    assert limits["address_requests_per_minute"]["used"] == 1
    assert limits["requests_per_hour"]["used"] == 1


async def test_a_request_that_its_address_is_refused_leaves_the_account_as_it_was(
    client: httpx.AsyncClient, set_plan: SetPlan, bob: Person
) -> None:
    await set_plan("free", address_requests_per_minute=1)
    origin = {"X-Forwarded-For": "192.0.2.7"}
    statuses = [
        (await client.post(COMPLETIONS, json=asking(), headers=bob.headers | origin)).status_code
        for _ in range(3)
    ]
    assert statuses == [200, 429, 429]
    limits = (await client.get("/v1/key", headers=bob.headers | origin)).json()["limits"]
    assert (limits["requests_per_day"]["used"], limits["concurrent_requests"]["used"]) == (1, 0)


async def test_counters_of_an_address_are_rebuilt_from_the_ledger(
    client: httpx.AsyncClient, set_plan: SetPlan, flush: Any
) -> None:
    await set_plan("visitor", address_requests_per_minute=2, address_accounts_per_hour=2)
    for _ in range(2):
        await visit(client, "192.0.2.7")
    flush.flushall()
    refused = await visit(client, "192.0.2.7")
    assert error_in(refused)["metadata"]["limit"] == "address_accounts_per_hour"
    assert error_in(refused)["metadata"]["used"] == 2


async def test_of_many_at_once_from_one_address_exactly_as_many_get_in(
    client: httpx.AsyncClient, set_plan: SetPlan, upstream: UpstreamDouble
) -> None:
    await set_plan("visitor", address_requests_per_minute=7)
    answers = await asyncio.gather(*(visit(client, "192.0.2.7") for _ in range(40)))
    assert sorted(one.status_code for one in answers) == [200] * 7 + [429] * 33
    assert len(upstream.log()) == 7


async def test_limits_show_the_address_to_somebody_new_and_count_nothing(
    client: httpx.AsyncClient, set_plan: SetPlan
) -> None:
    await set_plan("visitor", address_requests_per_minute=1)
    origin = {"X-Forwarded-For": "192.0.2.7"}
    await visit(client, "192.0.2.7")
    for _ in range(3):
        body = (await client.get("/api/v1/limits", headers=origin)).json()
    minute = body["limits"]["address_requests_per_minute"]
    assert (minute["scope"], minute["used"], minute["remaining"]) == ("address", 1, 0)
    assert body["limits"]["requests_per_day"]["used"] == 0


async def test_a_client_that_is_no_trusted_proxy_names_no_other_address(
    client: httpx.AsyncClient, set_plan: SetPlan, settings: Settings
) -> None:
    settings.TRUSTED_PROXIES = ()
    await set_plan("visitor", address_requests_per_minute=2)
    statuses = [(await visit(client, f"192.0.2.{number}")).status_code for number in range(4)]
    assert statuses == [200, 200, 429, 429]


# Sessions -----------------------------------------------------------------------------------


async def test_a_session_has_a_limit_of_its_own_and_another_session_goes_on(
    client: httpx.AsyncClient, set_plan: SetPlan, bob: Person
) -> None:
    await set_plan("free", requests_per_session=2)

    async def ask(session: str | None) -> httpx.Response:
        body = asking() | ({"session_id": session} if session else {})
        return await client.post(FREE_API, json=body, headers=bob.headers)

    answers = [await ask(name) for name in ("one", "one", "one", "other", None, None, None)]
    assert [one.status_code for one in answers] == [200, 200, 429, 200, 200, 200, 200]
    error = error_in(answers[2])
    assert error["metadata"]["limit"] == "requests_per_session"
    assert error["metadata"]["scope"] == "session"
    assert "Another session may go on." in error["message"]


async def test_one_label_in_two_hands_is_two_sessions(
    client: httpx.AsyncClient, set_plan: SetPlan, bob: Person, alice: Person
) -> None:
    for plan in ("free", "pro"):
        await set_plan(plan, requests_per_session=1)
    body = asking() | {"session_id": "same"}
    statuses = [
        (await client.post(FREE_API, json=body, headers=person.headers)).status_code
        for person in (bob, alice, bob, alice)
    ]
    assert statuses == [200, 200, 429, 429]


async def test_a_sessions_count_is_rebuilt_from_the_ledger_and_failures_leave_it(
    client: httpx.AsyncClient, set_plan: SetPlan, bob: Person, flush: Any, upstream: UpstreamDouble
) -> None:
    await set_plan("free", requests_per_session=2)
    body = asking() | {"session_id": "one"}

    async def ask() -> int:
        return (await client.post(FREE_API, json=body, headers=bob.headers)).status_code

    assert await ask() == 200
    upstream.script(fault="500")
    assert await ask() == 503
    upstream.reset()
    flush.flushall()
    assert [await ask() for _ in range(2)] == [200, 429]
