"""Each amount that can be offered is what the page shows, the session asks and the invoice has."""

import datetime as dt

import pytest
from django.utils import timezone

from accounts.models import User
from billing.payments import checkout, referrals
from billing.payments.catalogue import ANNUAL, MONTHLY
from billing.payments.fulfilment import refresh
from billing.payments.models import Checkout, Customer, HeldOffer, Referral
from billing.payments.offers import discounted_offers
from billing.payments.stripe_api import worker_api
from tests.billing.test_checkout import IDLE, NEAR
from tests.conftest import Person
from tests.stripe_sandbox import StripeSandbox

AMOUNTS = {  # by price and discounts, worked out by hand
    (MONTHLY.key,): 2999,
    (MONTHLY.key, "near_limit"): 2699,
    (MONTHLY.key, "heavy_use"): 2549,
    (MONTHLY.key, "referral"): 2399,
    (MONTHLY.key, "first_month"): 1499,
    (MONTHLY.key, "first_month", "near_limit"): 1349,
    (MONTHLY.key, "first_month", "heavy_use"): 1274,
    (MONTHLY.key, "first_month", "referral"): 1199,
    (ANNUAL.key,): 28790,
    (ANNUAL.key, "near_limit"): 25911,
    (ANNUAL.key, "heavy_use"): 24471,
    (ANNUAL.key, "referral"): 23032,
}


def test_there_is_no_other_amount() -> None:
    discounted = {
        (one.price.key, *(each.key for each in one.discounts)): one.total_cents
        for one in discounted_offers()
    }
    assert discounted | {(MONTHLY.key,): 2999, (ANNUAL.key,): 28790} == AMOUNTS


def earn(user: User, price: str, discounts: list[str]) -> None:
    """What has to be so for these discounts; nearness to a limit comes with the request."""
    again = price == MONTHLY.key and "first_month" not in discounts
    Customer.objects.create(user=user, mode="sandbox", has_paid=again)
    if "heavy_use" in discounts:
        until = timezone.now() + dt.timedelta(hours=1)
        HeldOffer.objects.create(user=user, discount="heavy_use", held_until=until)
    if "referral" in discounts:
        referrer = User.objects.create_user("referrer@example.com")
        referrals.record(referrals.code_of(referrer), user, None)


@pytest.mark.parametrize("wanted", AMOUNTS, ids=" ".join)
def test_page_session_and_invoice_have_each_amount(
    wanted: tuple[str, ...], sandbox: StripeSandbox, bob: Person
) -> None:
    price, *discounts = wanted
    earn(bob.user, price, discounts)
    usage = NEAR if "near_limit" in discounts else IDLE
    offers = checkout.offers_for(bob.user, usage)
    shown = {one.price.key: one for one in (offers.monthly, offers.annual)}[price]

    checkout.begin(bob.user, price, usage, worker_api())
    begun = Checkout.objects.get()
    assert sandbox.pay(begun.stripe_id)["outcome"] == "paid"
    refresh(begun.customer_id, worker_api())

    asked = sandbox.get(f"checkout/sessions/{begun.stripe_id}")["amount_total"]
    customer = Customer.objects.get()
    [paid] = worker_api().fetch(customer.stripe_id or "").subscriptions
    amounts = (shown.total_cents, begun.total_cents, asked, paid.paid_cents)
    assert amounts == (AMOUNTS[wanted],) * 4
    assert customer.price_cents == shown.price.cents  # from the second payment on
    assert Referral.objects.filter(state="earned").count() == ("referral" in discounts)
