"""Payments that were taken back, of this period or of the one whose credit pays it."""

import datetime as dt
import json
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from billing.models import Subscription
from billing.payments.catalogue import ANNUAL, MONTHLY
from billing.payments.entitlement import GRACE
from billing.payments.fulfilment import refresh
from billing.payments.models import Customer, SyncedObject, TierChange
from billing.payments.stripe_api import worker_api
from billing.payments.sync import sync
from tests.billing.fake_stripe import FakeStripe, subscription
from tests.billing.test_checkout import begin, only_checkout
from tests.conftest import Person
from tests.stripe_sandbox import KEY, StripeSandbox

DAY = 86400


@pytest.fixture
def stripe(tmp_path: Path, db: None, settings: Settings) -> Iterator[StripeSandbox]:
    """A Stripe of the test's own, whose clock it may move."""
    with StripeSandbox(tmp_path) as running:
        settings.STRIPE_API_BASE = running.base
        sync(worker_api())
        yield running


def post(stripe: StripeSandbox, path: str, **values: str) -> dict[str, Any]:
    """What somebody does at Stripe itself."""
    request = urllib.request.Request(
        f"{stripe.base}/v1/{path}",
        data=urllib.parse.urlencode(values).encode(),
        headers={"Authorization": f"Bearer {KEY}"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        found: dict[str, Any] = json.loads(answer.read())
        return found


def looked_at(person: Person) -> Customer:
    """The person's customer after the worker has looked."""
    customer = Customer.objects.get(user=person.user)
    refresh(customer.pk, worker_api())
    customer.refresh_from_db()
    return customer


def bought(stripe: StripeSandbox, person: Person, price: str) -> Customer:
    begin(person, price)
    assert stripe.pay(only_checkout().stripe_id)["outcome"] == "paid"
    return looked_at(person)


def charges(stripe: StripeSandbox, customer: Customer) -> list[dict[str, Any]]:
    """Newest first."""
    found: list[dict[str, Any]] = stripe.get(f"charges?customer={customer.stripe_id}")["data"]
    return found


def switched_to_monthly(stripe: StripeSandbox, person: Person) -> dict[str, Any]:
    """Bought for a year and changed to months in the portal; the charge of the year."""
    customer = bought(stripe, person, ANNUAL.key)
    [annual] = charges(stripe, customer)
    stripe.control("clock", advance=2 * 3600)
    [item] = stripe.get(f"subscriptions/{customer.subscription_id}")["items"]["data"]
    post(
        stripe,
        f"subscriptions/{customer.subscription_id}",
        **{
            "items[0][id]": item["id"],
            "items[0][price]": SyncedObject.objects.get(key=MONTHLY.key).stripe_id,
            "proration_behavior": "always_invoice",
        },
    )
    customer = looked_at(person)
    assert customer.price_key == MONTHLY.key
    assert stripe.get(f"customers/{customer.stripe_id}")["balance"] < 0, "the year's credit"
    return annual


def take_back(stripe: StripeSandbox, charge: dict[str, Any], how: str) -> None:
    if how == "refund":
        post(stripe, "refunds", payment_intent=charge["payment_intent"])
    else:
        stripe.control("dispute", charge=charge["id"], status="lost")


HOWS = pytest.mark.parametrize("how", ["refund", "lost dispute"])


# Months that the credit of a year pays ------------------------------------------------------


@HOWS
def test_months_paid_with_a_year_s_credit_end_when_the_year_is_taken_back(
    how: str, stripe: StripeSandbox, bob: Person
) -> None:
    annual = switched_to_monthly(stripe, bob)
    assert Subscription.objects.tier_of(bob.user.pk) == "pro"

    take_back(stripe, annual, how)
    looked_at(bob)

    assert Subscription.objects.tier_of(bob.user.pk) == "free"


def test_a_later_month_paid_with_a_year_s_credit_ends_with_it_too(
    stripe: StripeSandbox, bob: Person
) -> None:
    annual = switched_to_monthly(stripe, bob)
    stripe.control("clock", advance=40 * DAY)
    looked_at(bob)
    assert Subscription.objects.tier_of(bob.user.pk) == "pro"

    take_back(stripe, annual, "refund")
    looked_at(bob)

    assert Subscription.objects.tier_of(bob.user.pk) == "free"


def test_an_open_dispute_about_the_year_is_flagged_on_its_months(
    stripe: StripeSandbox, bob: Person
) -> None:
    annual = switched_to_monthly(stripe, bob)

    stripe.control("dispute", charge=annual["id"], status="needs_response")
    customer = looked_at(bob)

    assert customer.disputed
    assert Subscription.objects.tier_of(bob.user.pk) == "pro"


# The period itself --------------------------------------------------------------------------


@HOWS
def test_what_was_taken_back_is_charged_no_more_and_may_be_bought_again_at_once(
    how: str, stripe: StripeSandbox, bob: Person
) -> None:
    customer = bought(stripe, bob, MONTHLY.key)
    [first] = charges(stripe, customer)

    take_back(stripe, first, how)
    customer = looked_at(bob)

    assert Subscription.objects.tier_of(bob.user.pk) == "free"
    assert stripe.get(f"subscriptions/{customer.subscription_id}")["status"] == "canceled"
    again = bought(stripe, bob, MONTHLY.key)
    assert Subscription.objects.tier_of(bob.user.pk) == "pro"
    assert again.subscription_id != customer.subscription_id


def test_a_refunded_subscription_charges_nothing_in_the_next_period(
    stripe: StripeSandbox, bob: Person
) -> None:
    customer = bought(stripe, bob, MONTHLY.key)
    [first] = charges(stripe, customer)
    take_back(stripe, first, "refund")
    looked_at(bob)

    stripe.control("clock", advance=70 * DAY)
    customer = looked_at(bob)

    assert [one["id"] for one in charges(stripe, customer)] == [first["id"]]
    assert Subscription.objects.tier_of(bob.user.pk) == "free"


# A dispute that outlives its period -----------------------------------------------------------


def renewed_while_disputed(stripe: StripeSandbox, person: Person) -> tuple[Customer, str]:
    """Bought, disputed in the first month, and renewed since; the first month's charge."""
    customer = bought(stripe, person, MONTHLY.key)
    [first] = charges(stripe, customer)
    stripe.control("dispute", charge=first["id"], status="needs_response")
    assert looked_at(person).disputed
    stripe.control("clock", advance=40 * DAY)
    return looked_at(person), first["id"]


def test_an_open_dispute_stays_flagged_after_its_period_until_it_is_won(
    stripe: StripeSandbox, bob: Person
) -> None:
    customer, first = renewed_while_disputed(stripe, bob)
    assert len(charges(stripe, customer)) == 2
    assert customer.disputed
    assert Subscription.objects.tier_of(bob.user.pk) == "pro"

    stripe.control("dispute", charge=first, status="won")

    assert not looked_at(bob).disputed
    assert Subscription.objects.tier_of(bob.user.pk) == "pro"


def test_a_dispute_that_is_lost_in_a_later_period_ends_its_subscription(
    stripe: StripeSandbox, bob: Person
) -> None:
    customer, first = renewed_while_disputed(stripe, bob)

    stripe.control("dispute", charge=first, status="lost")
    looked_at(bob)

    assert Subscription.objects.tier_of(bob.user.pk) == "free"
    assert stripe.get(f"subscriptions/{customer.subscription_id}")["status"] == "canceled"
    trail = TierChange.objects.filter(user=bob.user).order_by("id")
    assert [(one.after, one.reason) for one in trail] == [
        ("pro", "active"),
        ("free", "dispute lost"),
    ]
    stripe.control("clock", advance=70 * DAY)
    assert not looked_at(bob).disputed
    assert len(charges(stripe, customer)) == 2, "it charges no more"


# An invoice in the midst of a period --------------------------------------------------------


def test_a_failed_extra_invoice_in_mid_year_has_its_grace_from_then_on(
    customer: Customer, stripe_double: FakeStripe
) -> None:
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    day = dt.timedelta(days=1)
    year = subscription(
        "past_due",
        price_key=ANNUAL.key,
        period_starts_at=now - 180 * day,
        period_ends_at=now + 185 * day,
    )
    paid = replace(year.invoices[0], created_at=now - 180 * day, paid_cents=28790)
    extra = replace(
        paid, id="in_extra", status="open", created_at=now - day, due_cents=500, paid_cents=0
    )
    stripe_double.set("cus_1", replace(year, invoices=(extra, paid)))

    refresh(customer.pk, stripe_double)

    assert Subscription.objects.tier_of(customer.user_id) == "pro"
    customer.refresh_from_db()
    assert customer.access_ends_at == now - day + GRACE
    assert customer.amount_due_cents == 500
