"""A deployment that keeps failing is spared, and its callers with it, until it answers again."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from gateway.health import circuits as circuits_module
from gateway.health import grudges
from gateway.health.circuits import FEWEST_CUTS, FEWEST_FAILURES
from gateway.runtime import Gateway
from tests.api.asking import COMPLETIONS, asking, events_of
from tests.api.conftest import CountersOf, LedgerRows, Serve
from tests.conftest import Person
from tests.gateway.provider import CHUNK, Provider, event, standing_in
from tests.waiting import until

REQUESTS = 40
AT_ONCE = 4
GOOD_BODY = Provider.body
ERROR_EVENT = event({"error": {"message": "overloaded", "code": 529}})


@pytest.fixture
def many_people(monkeypatch: pytest.MonkeyPatch) -> None:
    """One person stands for many: nobody is sent elsewhere for having been failed before."""
    monkeypatch.setattr(grudges, "GRUDGE_SECONDS", 0.0)


@pytest.fixture
async def sick(serve: Serve) -> AsyncIterator[Provider]:
    """The first provider of the model `backed`; the second one is well."""
    async with standing_in() as provider:
        await serve("backed", deployments={"sick": {"base_url": provider.address}, "well": {}})
        yield provider


def fall_ill(provider: Provider, how: str) -> None:
    """What is wrong with it from now on."""
    provider.status, provider.body, provider.pieces = 200, GOOD_BODY, []
    if how == "rubbish":
        provider.body = b"<html>Bad gateway</html>"
    elif how == "cuts":
        provider.pieces = [event(CHUNK), ERROR_EVENT]
    elif how != "well":
        provider.status, provider.body = int(how), b"{}"


async def ask(client: httpx.AsyncClient, person: Person, *, stream: bool = False) -> httpx.Response:
    body = asking(model="backed", stream=stream)
    return await client.post(COMPLETIONS, json=body, headers=person.headers)


@pytest.mark.usefixtures("many_people")
@pytest.mark.parametrize("how", ["500", "503", "429", "401", "rubbish"])
async def test_of_a_sick_provider_only_the_first_few_callers_notice_and_all_are_answered(
    client: httpx.AsyncClient,
    alice: Person,
    sick: Provider,
    ledger_rows: LedgerRows,
    counters: CountersOf,
    how: str,
) -> None:
    fall_ill(sick, how)
    for _ in range(REQUESTS // AT_ONCE):
        replies = await asyncio.gather(*(ask(client, alice) for _ in range(AT_ONCE)))
        assert {reply.status_code for reply in replies} == {200}
        assert {reply.headers["x-scalix-provider"] for reply in replies} == {"well"}

    assert FEWEST_FAILURES <= len(sick.asked) < FEWEST_FAILURES + AT_ONCE
    rows = await ledger_rows()
    assert [(row["status"], row["deployment"]) for row in rows] == [("settled", "well")] * REQUESTS
    assert (await counters(alice)).hour_requests == REQUESTS


async def test_who_was_failed_is_sent_elsewhere_at_once_and_the_others_are_not_yet(
    client: httpx.AsyncClient, alice: Person, bob: Person, sick: Provider, gateway: Gateway
) -> None:
    fall_ill(sick, "500")
    for _ in range(3):
        assert (await ask(client, alice)).headers["x-scalix-provider"] == "well"
    assert len(sick.asked) == 1
    assert not gateway.circuits.is_open("sick")
    fall_ill(sick, "well")
    assert (await ask(client, bob)).headers["x-scalix-provider"] == "sick"


@pytest.mark.usefixtures("many_people")
async def test_streams_that_are_cut_open_it_too(
    client: httpx.AsyncClient, alice: Person, sick: Provider, ledger_rows: LedgerRows
) -> None:
    fall_ill(sick, "cuts")
    cut = 0
    for _ in range(REQUESTS):
        last = events_of((await ask(client, alice, stream=True)).text)[-1]
        cut += last != "[DONE]"

    assert cut == len(sick.asked) == FEWEST_CUTS
    charged = [row for row in await ledger_rows() if row["charged"]]
    assert len(charged) == REQUESTS - FEWEST_CUTS


@pytest.mark.usefixtures("many_people")
async def test_it_is_asked_again_when_a_probe_is_answered_and_not_before(
    client: httpx.AsyncClient,
    alice: Person,
    sick: Provider,
    gateway: Gateway,
    ledger_rows: LedgerRows,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(circuits_module, "_FIRST_PAUSE", 0.05)
    fall_ill(sick, "500")
    for _ in range(FEWEST_FAILURES):
        await ask(client, alice)

    async def probed_in_vain() -> bool:
        return len(sick.asked) > FEWEST_FAILURES

    await until(probed_in_vain)
    assert gateway.circuits.is_open("sick")
    assert sick.asked[-1]["max_tokens"] == 1
    assert (await ask(client, alice)).headers["x-scalix-provider"] == "well"

    fall_ill(sick, "well")

    async def closed() -> bool:
        return not gateway.circuits.is_open("sick")

    await until(closed)
    assert (await ask(client, alice)).headers["x-scalix-provider"] == "sick"
    assert len(await ledger_rows()) == FEWEST_FAILURES + 2  # probes are nobody's requests


@pytest.mark.usefixtures("many_people")
async def test_a_probe_that_is_refused_was_answered(
    client: httpx.AsyncClient,
    alice: Person,
    sick: Provider,
    gateway: Gateway,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Some models refuse so small an answer as a probe asks for."""
    monkeypatch.setattr(circuits_module, "_FIRST_PAUSE", 0.05)
    fall_ill(sick, "500")
    for _ in range(FEWEST_FAILURES):
        await ask(client, alice)
    fall_ill(sick, "400")

    async def closed() -> bool:
        return not gateway.circuits.is_open("sick")

    await until(closed)


async def test_with_nobody_else_left_it_is_asked_all_the_same(
    client: httpx.AsyncClient, alice: Person, serve: Serve
) -> None:
    async with standing_in() as provider:
        await serve("alone", deployments={"only": {"base_url": provider.address}})
        fall_ill(provider, "500")
        body = asking(model="alone")
        for _ in range(2 * FEWEST_FAILURES):
            reply = await client.post(COMPLETIONS, json=body, headers=alice.headers)
            assert reply.status_code == 503
        fall_ill(provider, "well")
        reply = await client.post(COMPLETIONS, json=body, headers=alice.headers)
        assert reply.status_code == 200
        assert len(provider.asked) == 2 * FEWEST_FAILURES + 1


async def test_a_caller_s_mistakes_never_open_it(
    client: httpx.AsyncClient, alice: Person, sick: Provider, gateway: Gateway
) -> None:
    fall_ill(sick, "400")
    for _ in range(3 * FEWEST_FAILURES):
        assert (await ask(client, alice)).status_code == 400
    assert not gateway.circuits.is_open("sick")
    assert len(sick.asked) == 3 * FEWEST_FAILURES
