"""The landing page: a box to try, the plans as the table has them, and nothing asked for."""

from asgiref.sync import sync_to_async
from django.test import AsyncClient

from accounts import visitors
from billing.models import Plan
from gateway.runtime import Gateway
from tests.conftest import Person
from tests.pages.conftest import visitor_of
from tests.pages.reading import Elements, source, words
from tests.pages.spending import spend


async def test_a_cold_visit_has_a_sample_prompt_and_one_button(somebody: AsyncClient) -> None:
    page = await somebody.get("/")

    assert "Write a Python function that merges two sorted lists." in words(page)
    assert "5 of 5 tries left this hour" in words(page)
    required = [field for field in Elements(source(page)).all("input") if "required" in field]
    assert required == []


async def test_a_cold_visit_makes_nobody_a_visitor(somebody: AsyncClient) -> None:
    page = await somebody.get("/")

    assert visitors.COOKIE not in page.cookies
    assert "sessionid" not in page.cookies


async def test_the_plans_are_those_of_the_table(somebody: AsyncClient, gateway: Gateway) -> None:
    await Plan.objects.filter(tier="free").aupdate(requests_per_hour=11, requests_per_day=52)
    await gateway.plans.refresh()

    said = words(await somebody.get("/"))

    assert "5 requests an hour and 20 a day" in said
    assert "11 requests an hour and 52 a day" in said
    assert "As many requests as you like" in said


async def test_tries_left_are_the_visitors_own(somebody: AsyncClient, flush: object) -> None:
    await somebody.post("/try/", {"prompt": "Hello"})
    visitor_id = await visitor_of(somebody)
    await sync_to_async(spend)(visitor_id, 2, tier="visitor")
    flush.flushall()

    assert "2 of 5 tries left this hour" in words(await somebody.get("/"))


async def test_out_of_tries_it_says_until_when_and_what_an_account_gives(
    somebody: AsyncClient, flush: object
) -> None:
    await somebody.post("/try/", {"prompt": "Hello"})
    await sync_to_async(spend)(await visitor_of(somebody), 4, tier="visitor")
    flush.flushall()

    page = await somebody.get("/")

    assert "No tries left this hour" in words(page)
    assert "You have used all 5 of this hour’s requests." in words(page)
    assert "A free account gives you 10 requests an hour and 50 a day" in words(page)
    assert 'data-moment="reset"' in source(page)
    assert 'href="/signup/"' in source(page)


async def test_a_forged_visitor_cookie_is_somebody_new(somebody: AsyncClient) -> None:
    somebody.cookies[visitors.COOKIE] = "vis_00000000000000000000000000:forged"

    assert "5 of 5 tries left" in words(await somebody.get("/"))


async def test_a_user_sees_their_own_requests_left(
    as_bob: AsyncClient, bob: Person, flush: object
) -> None:
    await sync_to_async(spend)(bob.account_id, 3)
    flush.flushall()

    page = await as_bob.get("/")

    assert "7 of 10 tries left this hour" in words(page)
    assert "Open your dashboard" in words(page)
    assert "Log in" not in words(page)


async def test_the_address_that_refusals_name_leads_to_the_plans(somebody: AsyncClient) -> None:
    response = await somebody.get("/pricing", follow=True)

    assert response.redirect_chain[-1] == ("/pricing/", 301)
    assert "The plans side by side" in words(response)


async def test_on_pro_there_is_no_count_down(as_alice: AsyncClient) -> None:
    assert "No limit on your plan" in words(await as_alice.get("/"))
