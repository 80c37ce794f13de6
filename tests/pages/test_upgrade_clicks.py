"""Whoever follows a prompt to the pricing page is a step of the funnel."""

import uuid

import pytest
from django.test import AsyncClient

from accounts import visitors
from billing.payments.models import FunnelEvent
from tests.conftest import Person
from tests.pages.conftest import visitor_of


async def clicks() -> list[tuple[uuid.UUID, str, str]]:
    rows = FunnelEvent.objects.filter(kind="clicked").order_by("id")
    return [row async for row in rows.values_list("account_id", "trigger", "channel")]


async def test_a_users_click_counts_once_for_what_was_shown(
    as_bob: AsyncClient, bob: Person
) -> None:
    await FunnelEvent.objects.acreate(
        account_id=bob.account_id,
        kind="shown",
        trigger="limit_reached",
        channel="mail",
        window="2026-11-25",
    )
    for _ in range(2):
        page = await as_bob.get("/pricing/?from=limit_reached")
        assert page.status_code == 200

    assert await clicks() == [(bob.account_id, "limit_reached", "mail")]


async def test_a_visitors_click_counts_too(somebody: AsyncClient) -> None:
    await somebody.post("/try/", {"prompt": "Name a river"})
    await somebody.get("/pricing/?from=near_limit")

    assert await clicks() == [(await visitor_of(somebody), "near_limit", "page")]


@pytest.mark.parametrize("address", ["/pricing/", "/pricing/?from=nothing", "/pricing/?from="])
async def test_whoever_comes_by_themselves_clicked_nothing(
    as_bob: AsyncClient, address: str
) -> None:
    assert (await as_bob.get(address)).status_code == 200
    assert await clicks() == []


async def test_a_stranger_leaves_nothing(somebody: AsyncClient) -> None:
    somebody.cookies[visitors.COOKIE] = "made up"
    page = await somebody.get("/pricing/?from=near_limit")

    assert page.status_code == 200
    assert await clicks() == []
