"""What a page says to whoever is slowed down, blocked, or breaks a content rule."""

import datetime as dt
import re
from typing import Any

from django.test import AsyncClient

from gateway.models import AbuseCase, ContentRule
from gateway.runtime import Gateway
from tests.conftest import Person
from tests.pages.reading import source, words


async def a_case(gateway: Gateway, **fields: Any) -> AbuseCase:
    """One that this process knows of."""
    now = dt.datetime.now(dt.UTC)
    values = {
        "level": "throttle",
        "score": 80,
        "reasons": [{"detector": "burst", "points": 80, "text": "160 requests within a minute"}],
        "effect_until": now + dt.timedelta(hours=12),
    }
    case = await AbuseCase.objects.acreate(**values | fields)
    await gateway.guard.refresh()
    return case


async def test_who_behaves_normally_reads_nothing_of_it(as_bob: AsyncClient) -> None:
    assert "looks like abuse" not in words(await as_bob.get("/dashboard/"))


async def test_the_dashboard_says_why_since_when_and_until_when(
    gateway: Gateway, as_bob: AsyncClient, bob: Person
) -> None:
    case = await a_case(gateway, account_id=bob.account_id)
    page = await as_bob.get("/dashboard/")

    assert "Your account is slowed down to a quarter of its usual requests." in words(page)
    assert "160 requests within a minute" in words(page)
    assert case.opened_at.strftime("%Y-%m-%dT%H:%M") in source(page)
    assert case.effect_until is not None
    ends = rf'<time datetime="{case.effect_until:%Y-%m-%dT%H:%M}[^"]*" data-moment="clock">'
    assert re.search(ends, source(page))  # it is ahead, and so not told as "ago"
    assert "Requests this hour 0 of 2" in words(page)


async def test_who_is_blocked_still_reaches_every_page_of_theirs(
    gateway: Gateway, as_bob: AsyncClient, bob: Person
) -> None:
    await a_case(gateway, account_id=bob.account_id, level="block")

    for path in ("/dashboard/", "/dashboard/live/", "/tokens/", "/billing/"):
        assert (await as_bob.get(path)).status_code == 200, path
    assert "Your account is blocked." in words(await as_bob.get("/dashboard/"))


async def test_an_appeal_is_noted_once(gateway: Gateway, as_bob: AsyncClient, bob: Person) -> None:
    case = await a_case(gateway, account_id=bob.account_id, level="block")
    form = {"case": str(case.pk), "appeal": "It was a load test."}
    response = await as_bob.post("/dashboard/appeal/", form)
    await as_bob.post("/dashboard/appeal/", form | {"appeal": "Something else."})

    assert response.status_code == 302
    await case.arefresh_from_db()
    assert case.appeal == "It was a load test."
    assert "You wrote to us" in words(await as_bob.get("/dashboard/"))


async def test_nobody_appeals_for_others(
    gateway: Gateway, as_bob: AsyncClient, alice: Person
) -> None:
    case = await a_case(gateway, account_id=alice.account_id)
    for number in (str(case.pk), "x", ""):
        await as_bob.post("/dashboard/appeal/", {"case": number, "appeal": "Let her go."})

    await case.arefresh_from_db()
    assert case.appealed_at is None


async def test_a_visitor_at_a_blocked_address_reads_why(
    gateway: Gateway, somebody: AsyncClient
) -> None:
    await a_case(gateway, address="127.0.0.1", level="block")
    page = await somebody.post("/try/", {"prompt": "Hello"})

    assert page.status_code == 403
    assert "You can’t ask anything just now." in words(page)
    assert "160 requests within a minute" in words(page)


async def test_a_prompt_that_breaks_a_rule_is_told_which(
    gateway: Gateway, somebody: AsyncClient
) -> None:
    await ContentRule.objects.acreate(
        name="Frobnication", text="frobnicator", explanation="We don’t help with it."
    )
    await gateway.guard.refresh()
    page = await somebody.post("/try/", {"prompt": "How is a frobnicator made?"})

    assert page.status_code == 400
    assert "This prompt breaks the rule “Frobnication”." in words(page)
    assert "We don’t help with it. Nothing was charged." in words(page)
    assert "How is a frobnicator made?" in source(page)
