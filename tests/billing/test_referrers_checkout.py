"""What a referrer has earned is used at their own checkout, once, and never credited besides."""

import datetime as dt

import pytest
from django.utils import timezone

from accounts.models import User
from billing.payments import checkout, referrals
from billing.payments.catalogue import MONTHLY
from billing.payments.fulfilment import refresh
from billing.payments.models import Checkout, Customer, FunnelEvent, OutgoingMail, Referral
from billing.payments.states import SessionState
from billing.payments.stripe_api import worker_api
from tests.billing.fake_stripe import FakeStripe, subscription
from tests.billing.test_checkout import IDLE
from tests.conftest import Person
from tests.stripe_sandbox import GOOD, StripeSandbox

ANOTHER = "5555555555554444"


@pytest.fixture
def dora(bob: Person) -> User:
    """Whom Bob has brought."""
    user = User.objects.create_user("dora@example.com")
    referrals.record(referrals.code_of(bob.user), user, None)
    return user


def price_for(user: User) -> int:
    return checkout.offers_for(user, IDLE).monthly.total_cents


def begin(user: User) -> Checkout:
    checkout.begin(user, MONTHLY.key, IDLE, worker_api())
    return Checkout.objects.get(customer__user=user, state="open")


def buy(user: User, sandbox: StripeSandbox, number: str) -> Checkout:
    """Pays for a month, and the worker hears of it; the Checkout that did it."""
    begun = begin(user)
    assert sandbox.pay(begun.stripe_id, number)["outcome"] == "paid"
    refresh(begun.customer_id, worker_api())
    begun.refresh_from_db()
    assert begun.state == "complete"
    return begun


def cancel(user: User) -> None:
    customer = Customer.objects.get(user=user)
    worker_api().cancel_now(customer.subscription_id, idempotency_key=f"over-{customer.pk}")
    refresh(customer.pk, worker_api())


def test_a_referrer_s_own_upgrade_uses_up_what_they_earned(
    sandbox: StripeSandbox, bob: Person, dora: User
) -> None:
    buy(dora, sandbox, GOOD)
    referral = Referral.objects.get()
    assert (referral.state, price_for(bob.user)) == ("earned", 1199)

    used = buy(bob.user, sandbox, ANOTHER)

    assert (used.referral, used.total_cents) == (referral, 1199)
    customer = Customer.objects.get(user=bob.user)
    [paid] = worker_api().fetch(customer.stripe_id or "").subscriptions
    assert paid.paid_cents == 1199
    referral.refresh_from_db()
    assert (referral.state, referral.credit_cents) == ("rewarded", 0)
    assert referral.rewarded_at
    assert sandbox.get(f"customers/{customer.stripe_id}")["balance"] == 0
    assert not OutgoingMail.objects.filter(kind="referral_rewarded").exists()

    cancel(bob.user)
    assert price_for(bob.user) == 2999
    assert begin(bob.user).referral is None


def test_who_was_brought_and_stopped_paying_has_the_discount_no_more(
    sandbox: StripeSandbox, dora: User
) -> None:
    assert price_for(dora) == 1199
    used = buy(dora, sandbox, GOOD)
    assert (used.referral, used.total_cents) == (Referral.objects.get(), 1199)

    cancel(dora)

    assert price_for(dora) == 2999
    again = begin(dora)
    assert (again.referral, again.total_cents) == (None, 2999)


def test_each_of_both_has_paid_once_in_the_funnel(
    sandbox: StripeSandbox, bob: Person, dora: User
) -> None:
    for user, card in ((dora, GOOD), (bob.user, ANOTHER)):
        done = buy(user, sandbox, card)
        refresh(done.customer_id, worker_api())
        steps = FunnelEvent.objects.filter(account_id=user.pk).order_by("id")
        assert list(steps.values_list("kind", "window")) == [
            ("checkout", str(done.pk)),
            ("paid", str(done.pk)),
        ]


@pytest.mark.parametrize("end", ["expired", "complete"])
def test_what_an_open_checkout_takes_off_is_not_credited_too(
    end: str, stripe_double: FakeStripe, customer: Customer, dora: User
) -> None:
    """The referrer is on pro by another tab's session while this one can still be paid."""
    Referral.objects.update(state="earned")
    Checkout.objects.create(
        customer=customer,
        stripe_id="cs_1",
        url="http://127.0.0.1:9/",
        price_key=MONTHLY.key,
        lines=[],
        total_cents=1199,
        referral=Referral.objects.get(),
        expires_at=timezone.now() + dt.timedelta(minutes=31),
    )
    stripe_double.set("cus_1", subscription())
    stripe_double.sessions["cs_1"] = SessionState("cs_1", "open", "unpaid")
    refresh(customer.pk, stripe_double)
    assert Referral.objects.get().state == "earned"
    assert stripe_double.credits == []

    payment = "paid" if end == "complete" else "unpaid"
    stripe_double.sessions["cs_1"] = SessionState("cs_1", end, payment)
    refresh(customer.pk, stripe_double)

    assert Referral.objects.get().state == "rewarded"
    assert stripe_double.credits == ([("cus_1", 600)] if end == "expired" else [])
