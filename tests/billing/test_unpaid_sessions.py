"""A session's end, as Stripe reports it, is all that a refresh takes it for."""

import datetime as dt

import pytest
from django.utils import timezone

from billing.models import Subscription
from billing.payments.fulfilment import refresh
from billing.payments.models import Checkout, Customer, FunnelEvent, OutgoingMail, TierChange
from billing.payments.states import SessionState
from tests.billing.fake_stripe import FakeStripe, subscription

ENDS = [  # at Stripe: status, payment_status; then whether the funnel calls it paid
    ("open", "unpaid", False),
    ("expired", "unpaid", False),
    ("complete", "unpaid", False),  # the money is yet to come
    ("complete", "paid", True),
    ("complete", "no_payment_required", True),
]


@pytest.fixture
def checkout(customer: Customer) -> Checkout:
    """Bob's open one."""
    return Checkout.objects.create(
        customer=customer,
        stripe_id="cs_1",
        url="http://127.0.0.1:9/",
        price_key="scalix_pro_monthly",
        lines=[],
        total_cents=1499,
        expires_at=timezone.now() + dt.timedelta(minutes=31),
    )


@pytest.mark.parametrize(("status", "payment", "paid"), ENDS)
def test_a_session_alone_gives_no_tier_whatever_its_end(
    status: str,
    payment: str,
    paid: bool,
    customer: Customer,
    checkout: Checkout,
    stripe_double: FakeStripe,
) -> None:
    stripe_double.sessions["cs_1"] = SessionState("cs_1", status, payment)
    for _ in range(2):
        refresh(customer.pk, stripe_double)

    checkout.refresh_from_db()
    assert (checkout.state, checkout.ended_at is None) == (status, status == "open")
    assert FunnelEvent.objects.filter(kind="paid").count() == paid
    assert Subscription.objects.tier_of(customer.user_id) == "free"
    assert not TierChange.objects.exists()
    assert not OutgoingMail.objects.exists()


def test_an_upgrade_is_paid_once_in_the_funnel_however_often_it_is_heard_of(
    customer: Customer, checkout: Checkout, stripe_double: FakeStripe
) -> None:
    stripe_double.set("cus_1", subscription())
    stripe_double.sessions["cs_1"] = SessionState("cs_1", "complete", "paid", "sub_1")
    for _ in range(3):
        refresh(customer.pk, stripe_double)

    checkout.refresh_from_db()
    assert (checkout.state, checkout.subscription_id) == ("complete", "sub_1")
    step = FunnelEvent.objects.get(kind="paid")
    assert (step.account_id, step.window) == (customer.user_id, str(checkout.pk))
