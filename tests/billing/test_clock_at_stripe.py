"""What the clock brings at Stripe reaches the product: a page that expired, a renewal declined."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.test import Client
from pytest_django import Settings

from billing.models import Subscription
from billing.payments import checkout, inbox
from billing.payments.catalogue import MONTHLY
from billing.payments.entitlement import GRACE
from billing.payments.fulfilment import refresh
from billing.payments.models import Checkout, Customer, OutgoingMail, TierChange
from billing.payments.reconcile import reconcile
from billing.payments.stripe_api import worker_api
from billing.payments.sync import sync
from tests.billing.shop import Shop
from tests.billing.test_checkout import IDLE
from tests.conftest import Person
from tests.stripe_sandbox import DECLINES_LATER, StripeSandbox

MINUTE = 60
DAY = dt.timedelta(days=1)


@pytest.fixture
def stripe(tmp_path: Path, db: None, settings: Settings) -> Iterator[StripeSandbox]:
    """The product's Stripe, for one test: its clock only goes forwards."""
    with StripeSandbox(tmp_path) as sandbox:
        settings.STRIPE_API_BASE = sandbox.base
        sync(worker_api())
        yield sandbox


def begun(person: Person) -> Checkout:
    checkout.begin(person.user, MONTHLY.key, IDLE, worker_api())
    return Checkout.objects.get(state="open")


def test_a_page_that_nobody_paid_has_expired_by_the_next_refresh(
    stripe: StripeSandbox, bob: Person
) -> None:
    first = begun(bob)
    stripe.control("clock", advance=20 * MINUTE)
    refresh(first.customer_id, worker_api())
    first.refresh_from_db()
    assert first.state == "open"

    stripe.control("clock", advance=11 * MINUTE + 1)
    assert stripe.pay(first.stripe_id)["outcome"] == "closed"
    refresh(first.customer_id, worker_api())

    first.refresh_from_db()
    assert first.state == "expired"
    assert first.ended_at
    assert Subscription.objects.tier_of(bob.user.pk) == "free"
    assert not TierChange.objects.exists()
    assert not OutgoingMail.objects.exists()
    assert begun(bob) != first


def test_the_reconciler_ends_a_page_whose_time_is_over_with_no_event_at_all(
    stripe: StripeSandbox, bob: Person
) -> None:
    first = begun(bob)
    assert reconcile(worker_api()).differing == 0
    stripe.control("clock", advance=31 * MINUTE + 1)
    # Our clock goes on too: half an hour is over here as it is there.
    Checkout.objects.update(expires_at=dt.datetime.now(dt.UTC))

    assert reconcile(worker_api()).differing == 1

    first.refresh_from_db()
    assert first.state == "expired"
    assert Subscription.objects.tier_of(bob.user.pk) == "free"


def test_a_renewal_that_is_declined_leaves_pro_for_the_grace_and_is_told_once(
    stripe: StripeSandbox,
) -> None:
    shop = Shop(stripe)
    customer = shop.customer()
    due = shop.buy(customer, DECLINES_LATER).period_ends_at
    shop.deliver()
    inbox.drain(worker_api())
    assert Subscription.objects.tier_of(customer.user_id) == "pro"

    stripe.control("clock", advance=32 * 24 * 60 * MINUTE)
    for _ in range(2):  # the second time is a hint that changes nothing
        refresh(customer.pk, worker_api())
    shop.deliver(times=2)
    inbox.drain(worker_api())

    customer = Customer.objects.get(pk=customer.pk)
    assert (customer.status, customer.amount_due_cents) == ("past_due", 2999)
    assert customer.access_ends_at == due + GRACE
    assert customer.next_attempt_at == due + 3 * DAY
    subscription = Subscription.objects.get(user=customer.user_id)
    assert (subscription.tier, subscription.ends_at) == ("pro", due + GRACE)
    mails = OutgoingMail.objects.order_by("kind").values_list("kind", flat=True)
    assert list(mails) == ["payment_failed", "upgraded"]
    assert TierChange.objects.count() == 1
    browser = Client()
    browser.force_login(customer.user)
    assert "29.99" in browser.get("/billing/").content.decode()
