"""The dashboard: the figures that admission decides on, in words, at every quota."""

import datetime as dt
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.test import AsyncClient

from accounts.models import ApiToken
from billing.payments.models import FunnelEvent
from gateway.runtime import Gateway
from tests.conftest import Person
from tests.pages.conftest import logged_in
from tests.pages.reading import Elements, source, words
from tests.pages.spending import spend
from tests.waiting import until


@pytest.fixture
async def spent(bob: Person, flush: Any) -> Any:
    """Writes requests of Bob's into the ledger, which the counters then are seeded from."""

    async def spent(requests: int, **fields: Any) -> None:
        await sync_to_async(spend)(bob.account_id, requests, **fields)
        flush.flushall()

    return spent


async def test_it_asks_strangers_to_log_in(somebody: AsyncClient) -> None:
    response = await somebody.get("/dashboard/")

    assert response.status_code == 302
    assert response["location"] == "/login/?next=/dashboard/"


async def test_a_new_account_sees_three_steps_and_empty_figures(as_bob: AsyncClient) -> None:
    page = await as_bob.get("/dashboard/")

    assert "Three steps to your first call" in words(page)
    assert "0 of 10,000" in words(page)
    assert "No requests yet." in words(page)


async def test_the_steps_tick_off(as_bob: AsyncClient, bob: Person, spent: Any) -> None:
    page = await as_bob.get("/dashboard/")
    done = [item for item in Elements(source(page)).all("li") if item.get("class") == "done"]
    assert len(done) == 1  # Bob has a token

    token = await ApiToken.objects.aget(user=bob.user)
    await spent(1, token_id=token.pk)

    assert "Three steps" not in words(await as_bob.get("/dashboard/"))


async def test_every_limit_is_in_words_and_in_a_bar(as_bob: AsyncClient, spent: Any) -> None:
    await spent(6, tokens=1_200)

    page = await as_bob.get("/dashboard/")

    assert "7,200 of 10,000" in words(page)
    assert "Requests today 6 of 50" in words(page)
    assert "Requests this hour 6 of 10" in words(page)
    assert "At once 0 of 2" in words(page)
    meters = {meter["aria-label"]: meter for meter in Elements(source(page)).all("meter")}
    assert meters["Tokens today"]["value"] == "7200"
    assert meters["Requests today"]["max"] == "50"
    assert set(meters) == {"Tokens today", "Requests today", "Requests this hour", "At once"}


async def test_the_tightest_limit_comes_first(as_bob: AsyncClient, spent: Any) -> None:
    await spent(6, tokens=700)
    said = words(await as_bob.get("/dashboard/"))
    assert said.index("Requests this hour") < said.index("Tokens today")


async def test_from_80_per_cent_on_it_warns_with_the_reset(as_bob: AsyncClient, spent: Any) -> None:
    await spent(4, tokens=2_100)

    page = await as_bob.get("/dashboard/")

    assert "You have used 84 % of today’s tokens." in words(page)
    assert "Resets 00:00 UTC" in words(page)
    assert "See plans" in words(page)


async def test_with_five_requests_left_it_warns_too(as_bob: AsyncClient, spent: Any) -> None:
    await spent(5)

    page = await as_bob.get("/dashboard/")

    assert "You have used 50 % of this hour’s requests. 5 left." in words(page)
    [link] = [one for one in Elements(source(page)).all("a") if one.get("id") == "see-plans"]
    assert link["href"] == "/pricing/?from=near_limit"


async def test_a_warning_that_is_shown_and_closed_is_two_steps_of_the_funnel(
    as_bob: AsyncClient, bob: Person, spent: Any, gateway: Gateway
) -> None:
    async def steps() -> list[tuple[str, str, str]]:
        await gateway.upgrades.write()
        rows = FunnelEvent.objects.filter(account_id=bob.account_id).order_by("kind")
        return [row async for row in rows.values_list("kind", "trigger", "channel")]

    shown, dismissed = [(kind, "near_limit", "banner") for kind in ("shown", "dismissed")]
    await spent(4, tokens=2_100)
    for _ in range(2):
        page = await as_bob.get("/dashboard/")

    async def one_showing() -> bool:
        return await steps() == [shown]

    await until(one_showing)
    [button] = [one for one in Elements(source(page)).all("button") if one.get("name") == "warning"]
    for key in (button["value"], button["value"], "requests_per_day:made up", "x" * 1_000):
        await as_bob.post("/dashboard/dismiss/", {"warning": key})

    assert await steps() == [dismissed, shown]


async def test_a_dismissed_warning_stays_away(as_bob: AsyncClient, spent: Any) -> None:
    await spent(4, tokens=2_100)
    page = await as_bob.get("/dashboard/")
    [button] = [one for one in Elements(source(page)).all("button") if one.get("name") == "warning"]

    await as_bob.post("/dashboard/dismiss/", {"warning": button["value"]})

    assert "You have used 84 %" not in words(await as_bob.get("/dashboard/"))


@pytest.mark.parametrize(
    ("requests", "tokens", "said"),
    [
        (10, 10, "You have used all 10 of this hour’s requests."),
        (2, 5_000, "You have used all 10,000 of today’s tokens."),
    ],
)
async def test_at_100_per_cent_it_works_and_says_what_resets_when(
    as_bob: AsyncClient, spent: Any, requests: int, tokens: int, said: str
) -> None:
    await spent(requests, tokens=tokens)

    page = await as_bob.get("/dashboard/")

    assert page.status_code == 200
    assert said in words(page)
    assert "used up" in words(page)
    assert "Further requests are refused, and cost nothing, until then." in words(page)
    assert not [one for one in Elements(source(page)).all("button") if one.get("name") == "warning"]


async def test_at_100_per_cent_of_the_day_it_works_too(as_bob: AsyncClient, spent: Any) -> None:
    midnight = dt.datetime.now(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    await spent(50, tokens=20, at=midnight)

    page = await as_bob.get("/dashboard/")

    assert page.status_code == 200
    assert "50 of 50" in words(page)


async def test_pro_has_figures_without_limits(
    as_alice: AsyncClient, alice: Person, flush: Any
) -> None:
    await sync_to_async(spend)(alice.account_id, 3, tokens=1_000)
    flush.flushall()

    page = await as_alice.get("/dashboard/")

    assert "3,000" in words(page)
    assert "No limit on your plan" in words(page)
    assert "At once 0 of 20" in words(page)
    assert "See plans" not in words(page)


@pytest.mark.parametrize(
    ("status", "charged", "said"),
    [
        ("settled", True, "answered"),
        ("cancelled", True, "stopped"),
        ("cancelled", False, "stopped, not charged"),
        ("failed", False, "failed, not charged"),
        ("abandoned", True, "interrupted"),
        ("abandoned", False, "interrupted, not charged"),
        ("reserved", True, "running"),
        ("correction", True, "correction"),
    ],
)
async def test_the_latest_requests_tell_how_each_went(
    as_bob: AsyncClient, bob: Person, spent: Any, status: str, charged: bool, said: str
) -> None:
    token = await ApiToken.objects.aget(user=bob.user)
    await spent(1, tokens=212, token_id=token.pk, status=status, charged=charged)

    page = words(await as_bob.get("/dashboard/"))
    row = page[page.index("Latest requests") :]

    assert token.name in row
    assert "scalix-free → upstream" in row
    assert "212" in row
    assert "1.2 s" in row
    assert f" {said} " in row
    assert "req_" in row


async def test_a_request_without_a_token_came_from_the_browser(
    as_bob: AsyncClient, spent: Any
) -> None:
    await spent(1)

    said = words(await as_bob.get("/dashboard/"))

    assert " browser " in said[said.index("Latest requests") :]


async def test_the_days_are_drawn_and_told(as_bob: AsyncClient, spent: Any) -> None:
    yesterday = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    await spent(3, at=yesterday)
    await spent(2, at=yesterday, status="failed", charged=False)
    await spent(4)

    page = await as_bob.get("/dashboard/")

    assert f"{yesterday:%-d %b} 3 counted, 2 not charged" in words(page)
    kinds = [bar["class"] for bar in Elements(source(page)).all("rect")]
    assert kinds == ["counted", "uncharged", "today"]


async def test_days_before_the_last_14_are_left_out(as_bob: AsyncClient, spent: Any) -> None:
    await spent(5, at=dt.datetime.now(dt.UTC) - dt.timedelta(days=14))

    assert Elements(source(await as_bob.get("/dashboard/"))).all("rect") == []


async def test_nobody_sees_anothers_requests(
    as_bob: AsyncClient, alice: Person, flush: Any
) -> None:
    await sync_to_async(spend)(alice.account_id, 3)
    flush.flushall()

    assert "No requests yet." in words(await as_bob.get("/dashboard/"))


async def test_the_live_part_alone_has_the_same_figures(as_bob: AsyncClient, spent: Any) -> None:
    await spent(6, tokens=700)

    part = await as_bob.get("/dashboard/live/")

    assert "6 of 10" in words(part)
    assert "curl" in words(part)
    assert "<html" not in source(part)


async def test_with_the_counters_away_the_page_says_so_and_shows_the_rest(
    as_bob: AsyncClient, spent: Any, servers: Any
) -> None:
    await spent(3)
    servers.valkey.kill()
    try:
        page = await as_bob.get("/dashboard/")
    finally:
        servers.valkey.start()

    assert page.status_code == 200
    assert "The counters can’t be read just now." in words(page)
    assert "Latest requests" in words(page)
    assert "answered" in words(page)


async def test_what_a_visitor_asked_comes_along_to_the_first_dashboard(
    somebody: AsyncClient,
) -> None:
    await somebody.post("/try/", {"prompt": "Name a river"})
    await somebody.post(
        "/signup/", {"email": "dana@example.com", "password1": "correct horse battery"}
    )

    page = await somebody.get("/dashboard/")

    assert "Your conversation came along" in words(page)
    assert "Name a river" in words(page)
    assert "quick river" in words(page)

    await somebody.post("/dashboard/dismiss/", {"conversation": ""})
    assert "Your conversation came along" not in words(await somebody.get("/dashboard/"))


async def test_the_plan_is_in_the_header(gateway: Gateway, alice: Person, bob: Person) -> None:
    for person, plan in ((alice, "Pro"), (bob, "Free")):
        page = await (await logged_in(person)).get("/dashboard/")
        assert f"{plan} plan" in words(page)


async def test_the_page_is_kept_by_no_cache(as_bob: AsyncClient) -> None:
    assert "no-store" in (await as_bob.get("/dashboard/"))["cache-control"]
