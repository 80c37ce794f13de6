"""Every row of the table of statuses, from Stripe's own change to the tier, the trail and mails."""

import urllib.request
from typing import Any

import pytest
from pytest_django import Settings

from billing.models import Subscription
from billing.payments import inbox
from billing.payments.models import Customer, OutgoingMail, TierChange, WebhookEvent
from billing.payments.stripe_api import worker_api
from tests.billing.shop import Shop
from tests.stripe_sandbox import KEY, StripeSandbox


@pytest.fixture
def shop(running_sandbox: StripeSandbox, db: None, settings: Settings) -> Shop:
    settings.STRIPE_API_BASE = running_sandbox.base
    return Shop(running_sandbox)


@pytest.fixture
def payer(shop: Shop) -> Customer:
    """Somebody who is on pro since a moment ago."""
    customer = shop.customer()
    shop.buy(customer)
    hear(shop)
    assert Subscription.objects.tier_of(customer.user_id) == "pro"
    return customer


def hear(shop: Shop) -> None:
    """Webhooks come, each twice, and the worker acts on them."""
    assert shop.deliver(times=2) > 0
    inbox.drain(worker_api())
    assert not WebhookEvent.objects.filter(state="pending").exists()


def assert_only(customer: Customer, *trail: str) -> None:
    """The tier is the trail's last, and each change was written and mailed once."""
    assert Subscription.objects.tier_of(customer.user_id) == trail[-1]
    changes = TierChange.objects.filter(user=customer.user_id).order_by("id")
    assert tuple(changes.values_list("after", flat=True)) == trail
    mails = OutgoingMail.objects.filter(user=customer.user_id, kind__in=("upgraded", "downgraded"))
    assert mails.count() == len(trail)


def charge_of(shop: Shop, customer: Customer) -> dict[str, Any]:
    charges = shop.sandbox.get(f"charges?customer={customer.stripe_id}")["data"]
    found: dict[str, Any] = charges[0]
    return found


@pytest.mark.parametrize(
    ("status", "tier"),
    [
        ("trialing", "pro"),
        ("past_due", "pro"),
        ("unpaid", "free"),
        ("paused", "free"),
        ("incomplete", "free"),
        ("incomplete_expired", "free"),
        ("canceled", "free"),
    ],
)
def test_each_status_gives_what_the_table_says_and_active_gives_pro_again(
    status: str, tier: str, shop: Shop, payer: Customer
) -> None:
    (bought,) = shop.state_of(payer)
    shop.sandbox.control("subscription", id=bought.id, status=status)
    hear(shop)
    trail = ["pro"] if tier == "pro" else ["pro", "free"]
    assert_only(payer, *trail)
    if status in ("canceled", "incomplete_expired"):  # these are for ever
        return
    shop.sandbox.control("subscription", id=bought.id, status="active")
    hear(shop)
    assert_only(payer, *(trail if tier == "pro" else [*trail, "pro"]))


def test_a_refund_in_parts_ends_the_tier_with_its_last_part(shop: Shop, payer: Customer) -> None:
    charge = charge_of(shop, payer)
    refund(shop, charge["id"], charge["amount"] - 1)
    hear(shop)
    assert_only(payer, "pro")
    refund(shop, charge["id"], 1)
    hear(shop)
    assert_only(payer, "pro", "free")
    assert TierChange.objects.filter(user=payer.user_id).latest("id").reason == "refunded"


@pytest.mark.parametrize(("decision", "trail"), [("won", ["pro"]), ("lost", ["pro", "free"])])
def test_a_dispute_is_flagged_and_a_lost_one_ends_the_tier(
    decision: str, trail: list[str], shop: Shop, payer: Customer
) -> None:
    """Its events name a charge and no customer."""
    charge = charge_of(shop, payer)["id"]
    shop.sandbox.control("dispute", charge=charge, status="needs_response")
    hear(shop)
    payer.refresh_from_db()
    assert payer.disputed
    assert_only(payer, "pro")
    shop.sandbox.control("dispute", charge=charge, status=decision)
    hear(shop)
    payer.refresh_from_db()
    assert not payer.disputed
    assert_only(payer, *trail)


def test_a_customer_who_is_deleted_at_stripe_is_free(shop: Shop, payer: Customer) -> None:
    call(shop, "DELETE", f"customers/{payer.stripe_id}")
    hear(shop)
    assert_only(payer, "pro", "free")


def test_a_subscription_that_ends_with_its_period_is_pro_until_then_and_says_so_once(
    shop: Shop, payer: Customer
) -> None:
    (bought,) = shop.state_of(payer)
    call(shop, "POST", f"subscriptions/{bought.id}", b"cancel_at_period_end=true")
    hear(shop)
    (given,) = Subscription.objects.filter(user=payer.user_id)
    assert (given.tier, given.ends_at) == ("pro", bought.period_ends_at)
    assert OutgoingMail.objects.filter(user=payer.user_id, kind="cancels").count() == 1
    call(shop, "POST", f"subscriptions/{bought.id}", b"cancel_at_period_end=false")
    hear(shop)
    given.refresh_from_db()
    assert given.ends_at is not None
    assert given.ends_at > bought.period_ends_at
    assert_only(payer, "pro")


def refund(shop: Shop, charge: str, cents: int) -> None:
    call(shop, "POST", "refunds", f"charge={charge}&amount={cents}".encode())


def call(shop: Shop, method: str, path: str, body: bytes | None = None) -> None:
    """A change that is made at Stripe, by staff or by the customer."""
    headers = {"Authorization": f"Bearer {KEY}"}
    request = urllib.request.Request(
        f"{shop.sandbox.base}/v1/{path}", data=body, headers=headers, method=method
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 200
