"""What works and has worked: as a page, as JSON, as a feed, and without the database."""

import datetime as dt
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from asgiref.sync import sync_to_async
from django.db import connections
from django.test import AsyncClient
from django.utils import timezone

from accounts.identifiers import uuid7
from gateway.models import (
    Deployment,
    DeploymentDay,
    HealthEvent,
    OpenCircuit,
    ProbeResult,
    QualityStanding,
)
from gateway.runtime import Gateway
from tests.pages.reading import source, words
from tests.servers import PrivateServers, kill_at_once

ATOM = "{http://www.w3.org/2005/Atom}"
NAME = "upstream"  # the only usable deployment


@pytest.fixture
def _orm_connects_anew(transactional_db: None) -> Iterator[None]:
    """After Postgres has died, the test's thread needs another connection."""
    yield
    connections.close_all()


async def fill(model: Any, /, **values: Any) -> None:
    await model.objects.acreate(**values)


async def body(browser: AsyncClient) -> dict[str, Any]:
    response = await browser.get("/status.json")
    assert response.status_code == 200
    found: dict[str, Any] = response.json()
    return found


async def test_when_all_is_well_that_is_said_first(somebody: AsyncClient) -> None:
    page = words(await somebody.get("/status/"))
    assert "Everything works." in page
    assert "Gateway Working" in page
    assert f"{NAME} Working" in page
    assert "nothing asked yet" in page


async def test_ninety_days_are_bars_with_words_and_the_sums_are_exact(
    somebody: AsyncClient, gateway: Gateway
) -> None:
    today = timezone.now().date()
    for ago, good, bad in ((0, 990, 10), (1, 850, 150), (89, 0, 100), (90, 0, 9_000)):
        day = today - dt.timedelta(days=ago)
        await fill(DeploymentDay, day=day, deployment=NAME, succeeded=good, failed=bad)
    await fill(DeploymentDay, day=today, deployment="", succeeded=100_000, failed=1)
    await gateway.status.refresh()

    page = await somebody.get("/status/")
    assert source(page).count("<rect") == 2 * 90
    assert f"{(990 + 850) / 2_100:.2%} of 2,100 answers" in words(page)
    assert "85.00% of 1,000 answers were good" in words(page)
    assert "99.99% of 100,001 answers" in words(page)  # not rounded up to all

    (provider,) = (await body(somebody))["providers"]
    assert [(day["uptime"], day["answers"]) for day in provider["days"]] == [
        (0.0, 100),
        (0.85, 1_000),
        (0.99, 1_000),
    ]


async def test_a_deployment_that_lost_its_place_or_fails_is_not_well(
    somebody: AsyncClient, gateway: Gateway
) -> None:
    deployment = await Deployment.objects.aget(name=NAME)
    await fill(QualityStanding, deployment=deployment, lowered=True)
    await gateway.status.refresh()
    page = words(await somebody.get("/status/"))
    assert "The gateway works. 1 provider of 1 is not well." in page
    assert f"{NAME} Many answers fail" in page

    now = timezone.now()
    await fill(OpenCircuit, process_id=uuid7(), deployment=NAME, opened_at=now, heard_at=now)
    await gateway.status.refresh()
    assert (await body(somebody))["providers"][0]["state"] == "down"

    await OpenCircuit.objects.all().adelete()
    await QualityStanding.objects.all().adelete()
    await fill(ProbeResult, deployment=deployment, succeeded=False, latency_ms=1, error="secret")
    await gateway.status.refresh()
    assert (await body(somebody))["providers"][0]["state"] == "down"


async def test_incidents_are_on_the_page_and_in_the_feed_and_tell_nothing_internal(
    somebody: AsyncClient, gateway: Gateway
) -> None:
    began = timezone.now() - dt.timedelta(minutes=30)
    text = "can't reach http://10.0.0.7/v1 with sk-secret"
    await fill(HealthEvent, at=began, deployment=NAME, kind="probe_failed", text=text)
    ended = began + dt.timedelta(minutes=4)
    await fill(HealthEvent, at=ended, deployment=NAME, kind="probe_answered", text=text)
    await fill(HealthEvent, deployment="not-ours", kind="lowered", text=text)
    await gateway.status.refresh()

    page = await somebody.get("/status/")
    assert "Over after 4 minutes It did not answer a test question." in words(page)
    feed = await somebody.get("/status/feed")
    assert feed["content-type"].startswith("application/atom+xml")
    (entry,) = ET.fromstring(feed.content).findall(f"{ATOM}entry")
    assert entry.findtext(f"{ATOM}title") == f"{NAME}: over after 4 minutes"
    anchor = f"{NAME}-{began:%Y%m%d%H%M%S}"
    assert (entry.findtext(f"{ATOM}id") or "").endswith(f"/status/#{anchor}")
    assert f'id="{anchor}"' in source(page)
    everything = source(page) + feed.content.decode() + str(await body(somebody))
    for internal in (
        "10.0.0.7",
        "sk-secret",
        "not-ours",
        gateway.status._catalogue.usable()[0].targets[0].base_url,
    ):
        assert str(internal) not in everything


@pytest.mark.usefixtures("_orm_connects_anew")
async def test_without_the_database_it_says_so_and_shows_what_was_known(
    somebody: AsyncClient, as_bob: AsyncClient, gateway: Gateway, servers: PrivateServers
) -> None:
    kill_at_once(servers.postgres)
    try:
        before = await as_bob.get("/status/")  # not noticed yet, and Bob can't be looked up
        assert before.status_code == 200
        assert "The database can’t be reached." in words(before)

        await gateway.status.refresh()
        for browser in (somebody, as_bob):
            page = await browser.get("/status/")
            assert page.status_code == 200
            assert "The database can’t be reached." in words(page)
            assert f"{NAME} Working" in words(page)
            assert "was known" in words(page)
        told = await body(somebody)
        assert (told["database_away"], told["gateway"]["state"]) == (True, "down")
        assert (await somebody.get("/status/feed")).status_code == 200
    finally:
        servers.postgres.start()
        await sync_to_async(connections.close_all)()
    await gateway.status.refresh()
    assert "The database can’t be reached." not in words(await somebody.get("/status/"))


@pytest.mark.parametrize("path", ["/", "/docs/"])
async def test_every_page_leads_to_it(somebody: AsyncClient, path: str) -> None:
    assert 'href="/status/"' in source(await somebody.get(path))
