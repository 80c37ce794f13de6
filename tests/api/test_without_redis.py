"""REDIS_AWAY=ledger: with Redis away the ledger decides, as exactly, and Redis takes over again."""

import asyncio
import os
import signal
from typing import Any

import httpx
import pytest
from asgiref.sync import sync_to_async
from pytest_django import Settings

from billing.metering import fence
from gateway.runtime import Gateway
from tests.api.asking import COMPLETIONS, asking
from tests.api.conftest import Kill, LedgerRows, SetPlan
from tests.conftest import Person
from tests.servers import PrivateServers
from tests.upstream.double import UpstreamDouble
from tests.waiting import until


@pytest.fixture(autouse=True)
def surviving(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the gateway starts: it is to survive, and to go back as soon as it can."""
    settings.REDIS_AWAY = "ledger"
    monkeypatch.setattr(fence, "_STAY_SECONDS", 0.0)
    monkeypatch.setattr(fence, "_LOOK_SECONDS", 0.05)


async def ask(client: httpx.AsyncClient, person: Person, **fields: Any) -> httpx.Response:
    return await client.post(COMPLETIONS, json=asking(**fields), headers=person.headers)


async def statuses(client: httpx.AsyncClient, person: Person, count: int) -> list[int]:
    answers = await asyncio.gather(*(ask(client, person) for _ in range(count)))
    return sorted(one.status_code for one in answers)


async def back_in_redis(gateway: Gateway) -> None:
    async def is_back() -> bool:
        return gateway.fence.in_redis and gateway.fence.number > 1

    await until(is_back)


async def test_requests_are_answered_and_written_while_redis_is_away(
    surviving: None,
    client: httpx.AsyncClient,
    alice: Person,
    upstream: UpstreamDouble,
    ledger_rows: LedgerRows,
    kill: Kill,
) -> None:
    kill("valkey")
    for stream in (False, True):
        answer = await ask(client, alice, stream=stream)
        assert answer.status_code == 200
    rows = await ledger_rows()
    assert [(row["status"], row["charged"]) for row in rows] == [("settled", True)] * 2
    assert upstream.received() == 2


async def test_limits_hold_across_the_loss_and_the_return(
    client: httpx.AsyncClient, bob: Person, gateway: Gateway, set_plan: SetPlan, kill: Kill
) -> None:
    """Three by Redis, then the ledger decides, then Redis again: ten in all, and no more."""
    await set_plan("free", requests_per_hour=10, concurrent_requests=50)
    assert await statuses(client, bob, 3) == [200] * 3
    start_again = kill("valkey")
    assert await statuses(client, bob, 4) == [200] * 4
    assert not gateway.fence.in_redis
    key = await client.get("/v1/key", headers=bob.headers)
    assert key.json()["limits"]["requests_per_hour"]["used"] == 7

    start_again()
    await back_in_redis(gateway)
    assert await statuses(client, bob, 20) == [200] * 3 + [429] * 17
    key = await client.get("/v1/key", headers=bob.headers)
    assert key.json()["limits"]["requests_per_hour"]["used"] == 10


LIMITS = {
    "requests_per_hour": 5,
    "requests_per_day": 5,
    "requests_per_session": 5,
    "address_requests_per_minute": 5,
    "address_requests_per_hour": 5,
}


@pytest.mark.parametrize("limit", LIMITS)
async def test_of_many_at_once_exactly_as_many_get_in_by_the_ledger(
    client: httpx.AsyncClient,
    bob: Person,
    set_plan: SetPlan,
    kill: Kill,
    upstream: UpstreamDouble,
    within_the_minute: None,
    limit: str,
) -> None:
    free = {"requests_per_hour": None, "requests_per_day": None, "concurrent_requests": 100}
    await set_plan("free", **free | {limit: LIMITS[limit]})
    kill("valkey")
    body = asking() | {"session_id": "one"}
    answers = await asyncio.gather(
        *(client.post("/api/v1/free/completion", json=body, headers=bob.headers) for _ in range(25))
    )
    assert sorted(one.status_code for one in answers) == [200] * 5 + [429] * 20
    refused = next(one for one in answers if one.status_code == 429)
    assert refused.json()["error"]["metadata"]["limit"] == limit
    assert upstream.received() == 5


async def test_requests_at_once_hold_by_the_ledger(
    client: httpx.AsyncClient, bob: Person, kill: Kill, upstream: UpstreamDouble
) -> None:
    kill("valkey")
    held = asking(script={"hold": "all"})
    asked = [
        asyncio.create_task(client.post(COMPLETIONS, json=held, headers=bob.headers))
        for _ in range(6)
    ]

    async def the_others_are_refused() -> bool:
        return sum(one.done() for one in asked) == 4

    await until(the_others_are_refused)
    upstream.release("all")
    answers = await asyncio.gather(*asked)
    assert sorted(one.status_code for one in answers) == [200] * 2 + [429] * 4
    used = (await client.get("/v1/key", headers=bob.headers)).json()["limits"]
    assert used["concurrent_requests"]["used"] == 0


async def test_tokens_hold_by_the_ledger_and_the_last_request_gets_what_is_left(
    client: httpx.AsyncClient, bob: Person, set_plan: SetPlan, kill: Kill, upstream: UpstreamDouble
) -> None:
    await set_plan("free", tokens_per_day=150, concurrent_requests=50)
    kill("valkey")
    answers = await asyncio.gather(*(ask(client, bob, max_tokens=40) for _ in range(8)))
    assert {one.status_code for one in answers} == {200, 429}
    used = (await client.get("/v1/key", headers=bob.headers)).json()["limits"]["tokens_per_day"]
    spent = [one.json()["usage"]["total_tokens"] for one in answers if one.status_code == 200]
    assert used["used"] == sum(spent) <= 150


async def test_a_refusal_by_the_ledger_writes_and_charges_nothing(
    client: httpx.AsyncClient, bob: Person, set_plan: SetPlan, kill: Kill, ledger_rows: LedgerRows
) -> None:
    await set_plan("free", requests_per_hour=1)
    kill("valkey")
    assert await statuses(client, bob, 1) == [200]
    assert await statuses(client, bob, 3) == [429] * 3
    assert len(await ledger_rows()) == 1


async def test_a_frozen_redis_that_comes_back_with_old_counters_lets_nobody_through(
    client: httpx.AsyncClient,
    bob: Person,
    gateway: Gateway,
    set_plan: SetPlan,
    servers: PrivateServers,
) -> None:
    """It is not empty then: it believes what was true when it froze."""
    await set_plan("free", requests_per_hour=4, concurrent_requests=50)
    assert await statuses(client, bob, 1) == [200]
    os.kill(servers.valkey.pid, signal.SIGSTOP)
    try:
        assert await statuses(client, bob, 2) == [200] * 2
    finally:
        os.kill(servers.valkey.pid, signal.SIGCONT)
    await back_in_redis(gateway)
    assert await statuses(client, bob, 5) == [200] + [429] * 4


async def test_what_runs_while_redis_goes_and_comes_is_settled_once(
    client: httpx.AsyncClient,
    bob: Person,
    gateway: Gateway,
    set_plan: SetPlan,
    servers: PrivateServers,
    ledger_rows: LedgerRows,
    upstream: UpstreamDouble,
) -> None:
    await set_plan("free", requests_per_hour=None, requests_per_day=None, concurrent_requests=50)
    held = asking(script={"hold": "all"})
    first = asyncio.create_task(client.post(COMPLETIONS, json=held, headers=bob.headers))

    async def one_runs() -> bool:
        return len(await ledger_rows()) == 1

    await until(one_runs)
    await sync_to_async(servers.valkey.kill)()
    second = asyncio.create_task(client.post(COMPLETIONS, json=held, headers=bob.headers))

    async def two_run() -> bool:
        return len(await ledger_rows()) == 2

    await until(two_run)
    await sync_to_async(servers.valkey.start)()
    await back_in_redis(gateway)
    # Both still run: they are known to Redis by the ledger.
    assert await running_and_counted(client, bob) == (2, 2)
    upstream.release("all")
    assert [one.status_code for one in await asyncio.gather(first, second)] == [200, 200]

    async def all_is_over() -> bool:
        return await running_and_counted(client, bob) == (0, 2)

    await until(all_is_over)
    assert [row["status"] for row in await ledger_rows()] == ["settled"] * 2


async def running_and_counted(client: httpx.AsyncClient, person: Person) -> tuple[int, int]:
    limits = (await client.get("/v1/key", headers=person.headers)).json()["limits"]
    return limits["concurrent_requests"]["used"], limits["requests_per_hour"]["used"]


async def test_two_processes_of_which_one_alone_lost_redis_decide_as_one(
    client: httpx.AsyncClient, bob: Person, gateway: Gateway, set_plan: SetPlan
) -> None:
    """The other finds out by its next commit, whose booking then counts for nothing."""
    await set_plan("free", requests_per_hour=6, concurrent_requests=50)
    assert await statuses(client, bob, 2) == [200] * 2
    seen = gateway.fence.number
    await gateway.reads.fetch("SELECT billing_next_generation(%s)", (seen,))
    answers = await statuses(client, bob, 8)
    assert answers == [200] * 4 + [429] * 4
