"""Billing and the page after a payment: what is known is shown, and showing it grants nothing."""

import datetime as dt
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from billing.models import Subscription
from billing.payments.models import Checkout, Customer, Repayment
from tests.conftest import Person
from tests.pages.reading import words


def browser_of(person: Person) -> Client:
    browser = Client()
    browser.force_login(person.user)
    return browser


def paying(person: Person, **fields: Any) -> Customer:
    """The person as a paying customer, renewed monthly, with a Visa card."""
    soon = timezone.now() + dt.timedelta(days=10)
    plain = {
        "stripe_id": f"cus_{person.user.pk}",
        "status": "active",
        "price_key": "scalix_pro_monthly",
        "price_cents": 2999,
        "period_ends_at": soon,
        "card_brand": "visa",
        "card_last_four": "4242",
    }
    Subscription.objects.update_or_create(
        user=person.user, source="stripe", defaults={"tier": "pro", "ends_at": soon}
    )
    return Customer.objects.create(user=person.user, mode="sandbox", **{**plain, **fields})


def bought(customer: Customer, **fields: Any) -> Checkout:
    plain = {
        "stripe_id": f"cs_{customer.pk}",
        "url": "http://127.0.0.1:9/",
        "price_key": "scalix_pro_monthly",
        "lines": [{"title": "Scalix Pro, a month", "cents": 2999}],
        "total_cents": 2999,
        "expires_at": timezone.now() + dt.timedelta(minutes=31),
    }
    return Checkout.objects.create(customer=customer, **{**plain, **fields})


# Billing ------------------------------------------------------------------------------------


def test_a_free_user_is_shown_the_way_up(bob: Person) -> None:
    said = words(browser_of(bob).get("/billing/"))

    assert "Free plan Upgrade to Pro" in said
    assert "Card" not in said


def test_a_paying_user_sees_price_renewal_and_card(bob: Person) -> None:
    customer = paying(bob)
    said = words(browser_of(bob).get("/billing/"))

    assert "Pro plan Price $29.99 a month Renews on" in said
    assert customer.period_ends_at is not None
    assert f"{customer.period_ends_at:%b %Y}" in said
    assert "Card Visa ending in 4242" in said
    assert "Upgrade to Pro" not in said


def test_who_has_cancelled_sees_when_pro_ends_and_may_resume(bob: Person) -> None:
    paying(bob, cancels_at=timezone.now() + dt.timedelta(days=10))
    said = words(browser_of(bob).get("/billing/"))

    assert "Cancelled; Pro ends on" in said
    assert "Renews on" not in said
    assert "Resume, or see invoices" in said


def test_an_unpaid_renewal_is_on_every_page_until_it_is_paid(bob: Person) -> None:
    customer = paying(
        bob,
        status="past_due",
        amount_due_cents=2999,
        next_attempt_at=timezone.now() + dt.timedelta(days=3),
        access_ends_at=timezone.now() + dt.timedelta(days=12),
    )
    browser = browser_of(bob)

    for address in ("/billing/", "/tokens/"):
        said = words(browser.get(address))
        assert "Your last payment did not go through. $29.99 is tried again on" in said
        assert "Pro stays until" in said

    Customer.objects.filter(pk=customer.pk).update(status="active")
    assert "Your last payment" not in words(browser.get("/tokens/"))


def test_nobody_sees_anothers_banner_or_billing(bob: Person, alice: Person) -> None:
    paying(bob, status="past_due", amount_due_cents=2999)
    said = words(browser_of(alice).get("/billing/"))

    assert "did not go through" not in said
    assert "4242" not in said


def test_billing_is_for_who_is_logged_in(db: None) -> None:
    for address in ("/billing/", "/billing/return/", "/billing/return/state/"):
        assert Client().get(address)["location"].startswith("/login/")


def test_with_stripe_away_billing_works_and_the_portal_says_so(bob: Person) -> None:
    paying(bob)
    browser = browser_of(bob)

    assert browser.get("/billing/").status_code == 200
    answer = browser.post("/billing/portal/")
    assert answer.status_code == 503
    assert "Our payment provider does not answer just now." in words(answer)


def test_the_portal_takes_a_form_only(bob: Person) -> None:
    assert browser_of(bob).get("/billing/portal/").status_code == 405


def test_a_user_has_one_link_to_recommend_with(bob: Person) -> None:
    browser = browser_of(bob)
    code = words(browser.get("/billing/")).partition("/r/")[2].partition("/")[0]

    assert len(code) == 10
    assert f"/r/{code}/" in words(browser.get("/billing/"))


# The page after a payment -------------------------------------------------------------------


@pytest.mark.parametrize("session_id", ["", "cs_forged", "cs_" + "x" * 999, "\0"])
def test_a_forged_address_gains_nothing(bob: Person, session_id: str) -> None:
    page = browser_of(bob).get("/billing/return/", {"session_id": session_id})

    assert "We know of no such payment" in words(page)
    assert Subscription.objects.tier_of(bob.user.pk) == "free"
    assert not Subscription.objects.exists()


def test_anothers_session_is_unknown(bob: Person, alice: Person) -> None:
    session = bought(paying(alice), state="complete")
    page = browser_of(bob).get("/billing/return/", {"session_id": session.stripe_id})

    assert "We know of no such payment" in words(page)


def test_it_confirms_as_long_as_the_worker_has_not_fetched_it(bob: Person) -> None:
    customer = Customer.objects.create(user=bob.user, mode="sandbox", stripe_id="cus_1")
    session = bought(customer)
    browser = browser_of(bob)

    page = browser.get("/billing/return/", {"session_id": session.stripe_id})
    state = browser.get("/billing/return/state/", {"session_id": session.stripe_id})

    assert "Confirming your payment…" in words(page)
    assert state.json() == {"state": "confirming"}
    assert Subscription.objects.tier_of(bob.user.pk) == "free"
    customer.refresh_from_db()
    assert customer.refresh_wanted_at is not None


def test_once_it_is_fetched_it_says_what_was_paid(bob: Person) -> None:
    session = bought(paying(bob), state="complete", subscription_id="sub_1")
    page = browser_of(bob).get("/billing/return/", {"session_id": session.stripe_id})

    assert "You are on Pro" in words(page)
    assert "Paid $29.99" in words(page)


def test_a_second_payment_is_said_to_be_returned(bob: Person) -> None:
    customer = paying(bob)
    session = bought(customer, state="complete", subscription_id="sub_2")
    Repayment.objects.create(
        subscription_id="sub_2", customer=customer, refunded_cents=2999, reason="second"
    )
    page = browser_of(bob).get("/billing/return/", {"session_id": session.stripe_id})

    assert "cancelled and its payment refunded" in words(page)


def test_an_expired_checkout_says_that_nothing_was_charged(bob: Person) -> None:
    customer = Customer.objects.create(user=bob.user, mode="sandbox", stripe_id="cus_1")
    session = bought(customer, state="expired")
    page = browser_of(bob).get("/billing/return/", {"session_id": session.stripe_id})

    assert "This checkout has expired Nothing was charged." in words(page)


def test_looking_again_after_the_end_does_not_say_that_one_is_on_pro(bob: Person) -> None:
    customer = paying(bob)
    session = bought(customer, state="complete", subscription_id="sub_1")
    Subscription.objects.update(tier="free", ends_at=None)
    page = browser_of(bob).get("/billing/return/", {"session_id": session.stripe_id})

    assert "This upgrade is over" in words(page)
