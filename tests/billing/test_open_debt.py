"""A debt is seen: a subscription that ended before it does not hide the one that is owed."""

import datetime as dt
from dataclasses import replace

import pytest
from django.test import Client
from django.utils import timezone

from billing.models import Subscription
from billing.payments import checkout
from billing.payments.catalogue import MONTHLY
from billing.payments.fulfilment import refresh
from billing.payments.models import Checkout, Customer, OutgoingMail, TierChange
from billing.payments.reconcile import reconcile
from tests.billing.fake_stripe import FakeStripe, subscription
from tests.billing.test_checkout import IDLE
from tests.billing.test_entitlement import given
from tests.billing.test_entitlement import subscription as judged
from tests.pages.reading import words

DAY = dt.timedelta(days=1)


@pytest.fixture
def debtor(customer: Customer, stripe_double: FakeStripe) -> Customer:
    """Bob, who was a customer a year ago, came back, and whose last renewal nobody has paid."""
    ended = subscription("canceled", id="sub_a", created_at=timezone.now() - 400 * DAY)
    again = subscription(id="sub_b")
    stripe_double.set("cus_1", again, ended)
    refresh(customer.pk, stripe_double)
    unpaid = replace(again.invoices[0], status="open", paid_cents=0, payment_intents=())
    stripe_double.set("cus_1", replace(again, status="unpaid", invoices=(unpaid,)), ended)
    refresh(customer.pk, stripe_double)
    customer.refresh_from_db()
    assert Subscription.objects.tier_of(customer.user_id) == "free"
    return customer


def test_what_is_owed_is_remembered_and_said_why(debtor: Customer) -> None:
    assert (debtor.subscription_id, debtor.status, debtor.amount_due_cents) == (
        "sub_b",
        "unpaid",
        2999,
    )
    assert TierChange.objects.filter(after="free").get().reason == "unpaid"
    assert OutgoingMail.objects.get(kind="downgraded").context == {"reason": "unpaid"}


def test_no_second_subscription_begins_beside_a_debt(
    debtor: Customer, stripe_double: FakeStripe
) -> None:
    with pytest.raises(checkout.AlreadyPaying):
        checkout.begin(debtor.user, MONTHLY.key, IDLE, stripe_double)

    assert not Checkout.objects.exists()


def test_the_billing_page_shows_the_debt(debtor: Customer) -> None:
    browser = Client()
    browser.force_login(debtor.user)

    said = words(browser.get("/billing/"))

    assert "Not paid yet $29.99" in said
    assert "Change the card and pay" in said


def test_the_reconciler_finds_nothing_amiss_about_it(
    debtor: Customer, stripe_double: FakeStripe
) -> None:
    assert reconcile(stripe_double).differing == 0


def test_of_those_that_ended_the_newest_says_why_there_is_no_pro() -> None:
    old = judged("canceled", id="sub_old")
    new = judged("incomplete_expired", id="sub_new", created_at=old.created_at + DAY)

    assert given(old, new).reason == given(new, old).reason == "incomplete_expired"
