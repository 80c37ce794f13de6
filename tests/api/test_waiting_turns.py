"""Where a provider takes only so many requests at once, others wait: Pro first, and not long."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest

from gateway.runtime import Gateway
from tests.api.asking import COMPLETIONS, FREE_COMPLETION, asking, error_of, in_background
from tests.api.conftest import CountersOf, LedgerRows, Serve
from tests.conftest import Person
from tests.upstream.double import UpstreamDouble
from tests.waiting import until

ONE = {"requests_at_once": 1}

Waiting = Callable[[int], Awaitable[None]]


@pytest.fixture
def waiting(gateway: Gateway) -> Waiting:
    """Waits until so many requests are in the queue of the deployment `one`."""

    async def wait(count: int) -> None:
        async def are_there() -> bool:
            return (await gateway.capacity.used("one")).waiting == count

        await until(are_there)

    return wait


@pytest.fixture
async def busy(
    client: httpx.AsyncClient, alice: Person, serve: Serve, upstream: UpstreamDouble
) -> AsyncIterator[None]:
    """The deployment `one` serves one request at a time, and has one until `first` is released."""
    await serve("queued", deployments={"one": ONE})
    async with in_background(ask(client, alice, "first", hold="first")):
        await asyncio.to_thread(upstream.await_arrival, "first")
        yield


async def ask(
    client: httpx.AsyncClient, person: Person, name: str, hold: str = "", *, stream: bool = False
) -> httpx.Response:
    script = {"id": name} | ({"hold": hold} if hold else {})
    body = asking(model="queued", script=script, stream=stream)
    return await client.post(COMPLETIONS, json=body, headers=person.headers)


@pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])
async def test_pro_goes_first_though_free_waits_longer(
    client: httpx.AsyncClient,
    alice: Person,
    bob: Person,
    busy: None,
    waiting: Waiting,
    upstream: UpstreamDouble,
    ledger_rows: LedgerRows,
    stream: bool,
) -> None:
    async with in_background(ask(client, bob, "free", stream=stream)) as free:
        await waiting(1)
        async with in_background(ask(client, alice, "pro", stream=stream)) as pro:
            await waiting(2)
            upstream.release("first")
            replies = [await pro, await free]

    assert [reply.status_code for reply in replies] == [200, 200]
    assert [call["id"] for call in upstream.log()] == ["first", "pro", "free"]
    assert upstream.max_at_once() == 1
    rows = await ledger_rows()
    assert {row["status"] for row in rows} == {"settled"}
    assert {tuple(one["outcome"] for one in row["attempts"]) for row in rows[1:]} == {
        ("capacity_taken", "completed")
    }


async def test_whoever_waits_and_hangs_up_holds_up_nobody_and_pays_nothing(
    client: httpx.AsyncClient,
    alice: Person,
    bob: Person,
    busy: None,
    waiting: Waiting,
    upstream: UpstreamDouble,
    counters: CountersOf,
) -> None:
    async with in_background(ask(client, alice, "impatient")) as impatient:
        await waiting(1)
        impatient.cancel()
        await waiting(0)
    upstream.release("first")
    assert (await ask(client, bob, "free")).status_code == 200
    assert [call["id"] for call in upstream.log()] == ["first", "free"]
    used = await counters(alice)
    assert used.in_flight == 0


async def test_who_would_wait_too_long_is_told_at_once_when_to_come(
    client: httpx.AsyncClient,
    alice: Person,
    busy: None,
    waiting: Waiting,
    upstream: UpstreamDouble,
    gateway: Gateway,
) -> None:
    """A visitor waits five seconds at most, and each in front of them is taken for a second."""
    async with asyncio.TaskGroup() as others:
        for number in range(5):
            others.create_task(ask(client, alice, f"pro-{number}"))
        await waiting(5)
        refused = await client.post(FREE_COMPLETION, json=asking(model="queued"))
        upstream.release("first")

    assert refused.status_code == 503
    error = error_of(refused)
    assert error["code"] == "server_is_overloaded"
    assert refused.headers["retry-after"] == "6"
    assert "Try again in 6 s. Nothing was charged." in error["message"]
    assert upstream.received() == 6
    assert (await gateway.capacity.used("one")).waiting == 0


async def test_a_free_deployment_is_rather_asked_than_waited_for(
    client: httpx.AsyncClient,
    alice: Person,
    bob: Person,
    serve: Serve,
    upstream: UpstreamDouble,
) -> None:
    await serve("queued", deployments={"one": ONE, "other": ONE})
    async with in_background(ask(client, alice, "first", hold="first")):
        await asyncio.to_thread(upstream.await_arrival, "first")
        reply = await ask(client, bob, "second")
        assert reply.headers["x-scalix-provider"] == "other"
        upstream.release("first")
