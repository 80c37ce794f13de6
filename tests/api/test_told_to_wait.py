"""A provider that says when it may be asked again is left alone until then."""

from collections.abc import AsyncIterator

import httpx
import pytest

from gateway.health import grudges
from gateway.health.circuits import FEWEST_FAILURES
from gateway.health.rests import LONGEST_REST, Rests
from gateway.runtime import Gateway
from tests.api.asking import error_of
from tests.api.conftest import CountersOf, LedgerRows, Serve
from tests.api.test_circuits import ask
from tests.clock import Clock
from tests.conftest import Person
from tests.gateway.provider import Provider, standing_in


@pytest.fixture(autouse=True)
def clock(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """By which providers rest; nobody is sent elsewhere for having been failed before."""
    clock = Clock()
    monkeypatch.setattr(gateway.rests, "_now", clock)
    monkeypatch.setattr(grudges, "GRUDGE_SECONDS", 0.0)
    return clock


@pytest.fixture
async def busy() -> AsyncIterator[Provider]:
    """One that says so, and to come again in seven seconds."""
    async with standing_in() as provider:
        provider.status, provider.body, provider.waits = 429, b"{}", "7"
        yield provider


@pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])
async def test_the_first_caller_notices_and_nobody_after_that_until_then(
    client: httpx.AsyncClient,
    alice: Person,
    busy: Provider,
    serve: Serve,
    clock: Clock,
    ledger_rows: LedgerRows,
    stream: bool,
) -> None:
    await serve("backed", deployments={"busy": {"base_url": busy.address}, "well": {}})
    for _ in range(3):
        response = await ask(client, alice, stream=stream)
        assert (response.status_code, response.headers["x-scalix-provider"]) == (200, "well")
    assert len(busy.asked) == 1
    clock.now += 7
    await ask(client, alice, stream=stream)
    assert len(busy.asked) == 2
    assert {(row["status"], row["deployment"]) for row in await ledger_rows()} == {
        ("settled", "well")
    }


async def test_where_nobody_else_is_left_it_is_asked_and_its_wait_is_ours_to_tell(
    client: httpx.AsyncClient,
    alice: Person,
    busy: Provider,
    serve: Serve,
    ledger_rows: LedgerRows,
    counters: CountersOf,
) -> None:
    await serve("backed", deployments={"busy": {"base_url": busy.address}})
    for asked in (1, 2):
        response = await ask(client, alice)
        error = error_of(response)
        assert (response.status_code, error["code"]) == (503, "server_is_overloaded")
        assert response.headers["retry-after"] == "7"
        assert response.headers["x-should-retry"] == "false"  # or SDKs would sleep, and on its word
        assert error["metadata"]["retry_after_seconds"] == 7
        assert "Try again in 7 s. Nothing was charged." in error["message"]
        assert len(busy.asked) == asked
    rows = await ledger_rows()
    assert [(row["status"], row["charged"]) for row in rows] == [("failed", False)] * 2
    used = await counters(alice)
    assert (used.hour_requests, used.day_tokens, used.in_flight) == (0, 0, 0)


async def test_of_several_waits_the_shortest_is_told(
    client: httpx.AsyncClient, alice: Person, busy: Provider, serve: Serve
) -> None:
    async with standing_in() as other:
        other.status, other.body, other.waits = 503, b"{}", "3"
        addresses = {"busy": {"base_url": busy.address}, "other": {"base_url": other.address}}
        await serve("backed", deployments=addresses)
        response = await ask(client, alice)
    assert (response.status_code, response.headers["retry-after"]) == (503, "3")


async def test_beside_one_that_is_ill_no_wait_is_promised(
    client: httpx.AsyncClient, alice: Person, busy: Provider, serve: Serve
) -> None:
    async with standing_in() as ill:
        ill.status, ill.body = 500, b"{}"
        addresses = {"busy": {"base_url": busy.address}, "ill": {"base_url": ill.address}}
        await serve("backed", deployments=addresses)
        response = await ask(client, alice)
    assert response.status_code == 503
    assert "retry_after_seconds" not in error_of(response)["metadata"]


async def test_while_it_rests_its_circuit_is_not_probed(
    client: httpx.AsyncClient,
    alice: Person,
    busy: Provider,
    serve: Serve,
    clock: Clock,
    gateway: Gateway,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gateway.circuits, "_now", clock)
    busy.waits = str(24 * 3600)
    await serve("backed", deployments={"busy": {"base_url": busy.address}})
    for _ in range(FEWEST_FAILURES):
        await ask(client, alice)
    assert gateway.circuits.is_open("busy")
    clock.now += LONGEST_REST - 1
    await gateway._probe_open_circuits()
    assert len(busy.asked) == FEWEST_FAILURES
    clock.now += 1
    await gateway._probe_open_circuits()
    assert len(busy.asked) == FEWEST_FAILURES + 1


def test_it_is_logged_once_and_not_by_every_caller(caplog: pytest.LogCaptureFixture) -> None:
    rests = Rests(Clock())
    for _ in range(3):
        rests.told("busy", 7.0)
    assert caplog.text.count("busy is asked last: its provider said to wait 7 s") == 1
