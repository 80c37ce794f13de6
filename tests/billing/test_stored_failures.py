"""Stripe answers a failure again for as long as it remembers its key: nothing waits for that."""

from collections.abc import Iterator

import pytest
from django.utils import timezone
from pytest_django import Settings

from billing.payments import checkout
from billing.payments.fulfilment import refresh
from billing.payments.models import Checkout, Customer, OutgoingMail, Referral, Repayment
from billing.payments.stripe_api import StripeApi, StripeFailed
from tests.billing.shop import Shop
from tests.billing.test_checkout import begin
from tests.conftest import Person
from tests.stripe_sandbox import KEY, StripeSandbox


@pytest.fixture
def shop(running_sandbox: StripeSandbox, db: None, settings: Settings) -> Iterator[Shop]:
    settings.STRIPE_API_BASE = running_sandbox.base
    yield Shop(running_sandbox)
    fails(running_sandbox, now=False)


def fails(sandbox: StripeSandbox, *, now: bool) -> None:
    """Whether what changes something fails at Stripe."""
    sandbox.control("faults", mode="500" if now else "ok")


def impatient(shop: Shop) -> StripeApi:
    """Asks once and waits for nothing."""
    return StripeApi(key=KEY, base=shop.sandbox.base, retries=0)


def balance(shop: Shop, customer: Customer) -> int:
    found: int = shop.sandbox.get(f"customers/{customer.stripe_id}")["balance"]
    return found


def test_a_checkout_begins_after_stripe_failed_at_the_customer(shop: Shop, bob: Person) -> None:
    fails(shop.sandbox, now=True)
    with pytest.raises(checkout.StripeBusy):
        begin(bob)
    assert not Checkout.objects.exists()
    assert Customer.objects.get().stripe_id is None
    fails(shop.sandbox, now=False)

    begin(bob)

    assert Checkout.objects.count() == 1


def test_a_second_payment_comes_back_once_after_stripe_failed_at_its_refund(shop: Shop) -> None:
    customer = shop.customer()
    shop.buy(customer)
    shop.buy(customer)
    fails(shop.sandbox, now=True)
    with pytest.raises(StripeFailed):
        refresh(customer.pk, impatient(shop))
    assert Repayment.objects.get().done_at is None
    fails(shop.sandbox, now=False)

    for _ in range(2):
        refresh(customer.pk, impatient(shop))

    assert Repayment.objects.get().refunded_cents == 2999
    charges = shop.sandbox.get(f"charges?customer={customer.stripe_id}")["data"]
    assert sorted(one["amount_refunded"] for one in charges) == [0, 2999]
    assert OutgoingMail.objects.filter(kind="second_refunded").count() == 1


@pytest.fixture
def referrer(shop: Shop, bob: Person) -> Customer:
    """Somebody on pro who is to be credited for having brought Bob."""
    customer = shop.customer()
    shop.buy(customer)
    Referral.objects.create(
        referrer=customer.user, referred=bob.user, state="earned", expires_at=timezone.now()
    )
    return customer


def test_a_credit_is_given_once_after_stripe_failed_at_it(shop: Shop, referrer: Customer) -> None:
    fails(shop.sandbox, now=True)
    with pytest.raises(StripeFailed):
        refresh(referrer.pk, impatient(shop))
    assert balance(shop, referrer) == 0
    fails(shop.sandbox, now=False)

    for _ in range(2):
        refresh(referrer.pk, impatient(shop))

    assert balance(shop, referrer) == -600
    assert Referral.objects.get().state == "rewarded"


def test_a_credit_that_was_given_is_found_when_its_key_is_forgotten(
    shop: Shop, referrer: Customer
) -> None:
    refresh(referrer.pk, impatient(shop))
    Referral.objects.update(state="earned", key_attempt=1)  # as if killed before it was written

    refresh(referrer.pk, impatient(shop))

    assert balance(shop, referrer) == -600
    assert Referral.objects.get().state == "rewarded"
