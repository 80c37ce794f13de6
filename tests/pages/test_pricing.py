"""The pricing page: what is compared, what the first payment is, and nothing to tamper with."""

import pytest
from asgiref.sync import sync_to_async
from django.test import AsyncClient
from pytest_django import Settings

from billing.models import Plan, Subscription
from billing.payments.models import Checkout, Customer, FunnelEvent
from gateway.runtime import Gateway
from tests.conftest import Person
from tests.pages.reading import Elements, source, words
from tests.pages.spending import spend
from tests.stripe_sandbox import StripeSandbox


async def test_a_stranger_sees_what_the_first_month_costs_and_then(somebody: AsyncClient) -> None:
    said = words(await somebody.get("/pricing/"))

    assert "You pay today $14.99 Then $29.99 a month." in said
    assert "You pay today $287.90 Then $287.90 a year." in said
    assert "$71.98 less than 12 months" in said
    assert said.count("Create an account to upgrade") == 2


async def test_the_table_is_of_the_limits_that_are_enforced(
    somebody: AsyncClient, gateway: Gateway
) -> None:
    await Plan.objects.filter(tier="free").aupdate(requests_per_day=52)
    await gateway.plans.refresh()

    said = words(await somebody.get("/pricing/"))

    assert "Requests a day 20 52 no limit" in said


async def test_the_table_has_a_header_for_each_row_and_column(somebody: AsyncClient) -> None:
    elements = Elements(source(await somebody.get("/pricing/")))
    scopes = [header.get("scope") for header in elements.all("th")]

    assert scopes.count("col") == 3
    assert scopes.count("row") == 9


async def test_who_comes_close_to_a_limit_sees_the_discount_and_how_long_it_holds(
    as_bob: AsyncClient, bob: Person, flush: object
) -> None:
    await sync_to_async(spend)(bob.account_id, 9)
    flush.flushall()

    said = words(await as_bob.get("/pricing/"))

    assert "For coming close to a limit, 10 % −$1.50 You pay today $13.49" in said
    assert "This price is yours until" in said


async def test_a_user_has_their_plan_marked_and_two_prices_to_press(as_bob: AsyncClient) -> None:
    page = await as_bob.get("/pricing/")

    assert "Free Your plan" in words(page)
    assert "Upgrade for $14.99" in words(page)
    assert "Upgrade for $287.90" in words(page)


async def test_who_is_on_pro_is_offered_nothing(as_alice: AsyncClient) -> None:
    page = await as_alice.get("/pricing/")

    assert "Pro Your plan" in words(page)
    assert "Upgrade for" not in words(page)
    assert "Manage your plan" in words(page)


async def test_a_form_names_a_price_and_nothing_that_could_be_changed(as_bob: AsyncClient) -> None:
    fields = Elements(source(await as_bob.get("/pricing/?from=near_limit"))).all("input")
    named = {field["name"] for field in fields if field.get("name") != "csrfmiddlewaretoken"}

    assert named == {"price", "from"}
    assert [field["value"] for field in fields if field["name"] == "from"] == ["near_limit"] * 2


@pytest.mark.parametrize(
    "changed",
    [
        {"price": "price_1"},
        {"price": ""},
        {"price": "scalix_pro_monthly\0"},
        {"amount": "1"},
        {"price": "first_month", "coupon": "first_month"},
    ],
)
async def test_a_price_that_is_none_of_ours_makes_no_customer(
    as_bob: AsyncClient, changed: dict[str, str]
) -> None:
    page = await as_bob.post("/billing/checkout/", changed)

    assert page.status_code == 400
    assert "There is no such price." in words(page)
    assert not await Customer.objects.aexists()


async def test_with_stripe_away_the_page_says_so_and_stays(as_bob: AsyncClient) -> None:
    page = await as_bob.post("/billing/checkout/", {"price": "scalix_pro_monthly"})

    assert page.status_code == 503
    assert "Nothing was charged; try again in a minute." in words(page)
    assert "Upgrade for $14.99" in words(page)
    assert not await Checkout.objects.aexists()


async def test_a_stranger_who_presses_upgrade_has_to_log_in_first(somebody: AsyncClient) -> None:
    answer = await somebody.post("/billing/checkout/", {"price": "scalix_pro_monthly"})

    assert answer["location"] == "/login/?next=/pricing/"
    assert not await Customer.objects.aexists()


@pytest.mark.usefixtures("one_window")
async def test_pressing_it_very_often_is_refused(as_bob: AsyncClient, flush: object) -> None:
    for _ in range(20):
        await as_bob.post("/billing/checkout/", {"price": "scalix_pro_monthly"})

    page = await as_bob.post("/billing/checkout/", {"price": "scalix_pro_monthly"})

    assert page.status_code == 429
    assert "That was too often." in words(page)


async def test_where_payments_are_not_set_up_the_buttons_are_off(
    as_bob: AsyncClient, settings: Settings
) -> None:
    settings.PAYMENTS = False

    page = await as_bob.get("/pricing/")

    assert "Not for sale on this installation yet" in words(page)
    disabled = [button for button in Elements(source(page)).all("button") if "disabled" in button]
    assert len(disabled) == 2


async def test_who_is_granted_pro_by_staff_is_sent_to_billing(
    as_bob: AsyncClient, bob: Person
) -> None:
    await Subscription.objects.acreate(user=bob.user, tier="pro", source="staff")

    assert "Pro Your plan" in words(await as_bob.get("/pricing/"))
    assert "Pro was given to you by our team" in words(await as_bob.get("/billing/"))


async def test_who_comes_from_a_prompt_is_counted_once(as_bob: AsyncClient, bob: Person) -> None:
    for _ in range(2):
        await as_bob.get("/pricing/?from=limit_reached")
    await as_bob.get("/pricing/?from=made-up")

    noted = await FunnelEvent.objects.aget(kind="clicked")
    assert (noted.account_id, noted.trigger) == (bob.account_id, "limit_reached")


async def test_amount_coupon_and_buyer_are_ours_to_say_and_not_the_forms(
    sandbox: StripeSandbox, as_bob: AsyncClient, bob: Person, alice: Person
) -> None:
    tampered = {
        "price": "scalix_pro_annual",
        "amount": "1",
        "total_cents": "1",
        "unit_amount": "1",
        "coupon": "scalix_pro_monthly-first_month-1500",
        "discounts[0][coupon]": "scalix_pro_monthly-first_month-1500",
        "user": str(alice.user.pk),
        "user_id": str(alice.user.pk),
        "customer": "cus_alice",
        "mode": "payment",
    }

    answer = await as_bob.post("/billing/checkout/", tampered)

    assert answer.status_code == 303
    made = await Checkout.objects.select_related("customer").aget()
    assert made.total_cents == 28790
    assert made.customer.user_id == bob.user.pk
    session = sandbox.get(f"checkout/sessions/{made.stripe_id}")
    assert (session["amount_total"], session["client_reference_id"]) == (28790, str(bob.user.pk))
    assert answer["location"] == session["url"]
