"""From callers' requests to a deployment's place, end to end."""

import httpx
import pytest
from asgiref.sync import sync_to_async
from pytest_django import Settings

from gateway.health.tasks import judge_quality
from gateway.models import OpenCircuit, QualityStanding
from gateway.runtime import Gateway
from tests.api.asking import COMPLETIONS, asking
from tests.api.conftest import Serve
from tests.conftest import Person
from tests.gateway.provider import standing_in
from tests.upstream.double import UpstreamDouble
from tests.waiting import until


@pytest.fixture(autouse=True)
def _impatient(settings: Settings) -> None:
    """Before the gateway starts: it waits for a fraction of a second, and not for a minute."""
    settings.GATEWAY_SILENCE_SECONDS = 0.3


@pytest.fixture(autouse=True)
def _many_people(monkeypatch: pytest.MonkeyPatch) -> None:
    """One person stands for many: nobody is sent elsewhere for having been failed before."""
    monkeypatch.setattr("gateway.health.grudges.GRUDGE_SECONDS", 0.0)


async def test_one_that_hangs_opens_no_circuit_at_low_traffic_and_loses_its_place(
    client: httpx.AsyncClient,
    gateway: Gateway,
    alice: Person,
    serve: Serve,
    upstream: UpstreamDouble,
) -> None:
    async def ask() -> None:
        body = asking(model="backed", script={"fault": "timeout"})
        reply = await client.post(COMPLETIONS, json=body, headers=alice.headers)
        assert reply.status_code == 200

    def first_asked() -> str:
        row = gateway.catalogue.find("backed")
        assert row is not None
        return row.targets[0].deployment

    async with standing_in() as well:
        await serve("backed", deployments={"hangs": {}, "well": {"base_url": well.address}})
        for _ in range(3):
            await ask()
        assert not gateway.circuits.is_open("hangs")
        assert first_asked() == "hangs"

        await sync_to_async(judge_quality)()

        standing = await QualityStanding.objects.aget(deployment__name="hangs")
        assert standing.lowered
        assert standing.figures["5m"]["timeouts"] == 3
        await gateway.catalogue.refresh()
        assert first_asked() == "well"
        asked = upstream.received()
        await ask()
        assert upstream.received() == asked  # nobody waits for it any more


async def test_a_circuit_that_opens_is_known_to_all_within_moments(
    client: httpx.AsyncClient, gateway: Gateway, alice: Person, serve: Serve
) -> None:
    await serve("backed", deployments={"sick": {"base_url": "http://127.0.0.1:9/v1"}, "well": {}})
    for _ in range(5):
        await client.post(COMPLETIONS, json=asking(model="backed"), headers=alice.headers)
    assert gateway.circuits.is_open("sick")

    async def known() -> bool:
        return await OpenCircuit.objects.filter(deployment="sick").aexists()

    await until(known)
