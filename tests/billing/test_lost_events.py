"""Events that never arrive: one run of the reconciler, and the tier is right, once."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from pytest_django import Settings

from billing.models import Subscription
from billing.payments import inbox
from billing.payments.models import Customer, OutgoingMail, ReconcilerRun, TierChange, WebhookEvent
from billing.payments.reconcile import reconcile
from billing.payments.states import InvoiceState, SubscriptionState
from billing.payments.stripe_api import StripeAway, worker_api
from tests.billing.fake_stripe import FakeStripe, event, subscription, text_of
from tests.billing.shop import Shop
from tests.stripe_sandbox import StripeSandbox

NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)
OWED = InvoiceState("in_2", "open", NOW, due_cents=2999, paid_cents=0)
LATE = subscription("past_due", period_starts_at=NOW, invoices=(OWED,))


@dataclass(frozen=True, slots=True)
class Stage:
    """A change at Stripe, the events that it makes, and what is so after it."""

    found: SubscriptionState
    events: tuple[str, ...]
    tier: str
    status: str


LIFE = [
    Stage(
        subscription(),
        ("checkout.session.completed", "customer.subscription.created", "invoice.paid"),
        "pro",
        "active",
    ),
    Stage(LATE, ("invoice.payment_failed", "customer.subscription.updated"), "pro", "past_due"),
    Stage(subscription(), ("customer.subscription.updated",), "pro", "active"),
    Stage(subscription("canceled"), ("customer.subscription.deleted",), "free", "canceled"),
]
SEVEN = sum(len(stage.events) for stage in LIFE)


def live(customer: Customer, stripe: FakeStripe, lost: Callable[[int], bool]) -> None:
    """The whole life; where an event is lost the reconciler runs once, and at no other time."""
    number = 0
    for stage in LIFE:
        stripe.set("cus_1", stage.found)
        missing = False
        for kind in stage.events:
            found = event(kind)
            stripe.events.append(found)
            if lost(number):
                missing = True
            else:
                inbox.record(found, text_of(found))
                inbox.drain(stripe)
            number += 1
        if missing:
            reconcile(stripe)
        customer.refresh_from_db()
        assert Subscription.objects.tier_of(customer.user_id) == stage.tier
        assert customer.status == stage.status


def left(customer: Customer) -> dict[str, Any]:
    """What there is of the life afterwards."""
    changes = TierChange.objects.filter(user=customer.user_id).order_by("id")
    mails = OutgoingMail.objects.filter(user=customer.user_id).order_by("kind")
    return {
        "trail": list(changes.values_list("after", "reason")),
        "mails": list(mails.values_list("kind", flat=True)),
        "events": WebhookEvent.objects.filter(state="done").count(),
        "kept": WebhookEvent.objects.count(),
    }


WHOLE = {
    "trail": [("pro", "active"), ("free", "canceled")],
    "mails": ["downgraded", "payment_failed", "upgraded"],
    "events": SEVEN,
    "kept": SEVEN,
}


@pytest.mark.parametrize("number", range(SEVEN))
def test_one_lost_event_costs_one_run_of_the_reconciler(
    number: int, customer: Customer, stripe_double: FakeStripe
) -> None:
    live(customer, stripe_double, lambda one: one == number)
    assert left(customer) == WHOLE
    assert WebhookEvent.objects.filter(found_by_reconciler=True).count() == 1


def test_with_all_of_them_lost_the_reconciler_alone_leads_to_the_same(
    customer: Customer, stripe_double: FakeStripe
) -> None:
    live(customer, stripe_double, lambda _: True)
    assert left(customer) == WHOLE


def test_what_arrives_after_the_reconciler_found_it_adds_nothing(
    customer: Customer, stripe_double: FakeStripe
) -> None:
    live(customer, stripe_double, lambda _: True)
    for found in stripe_double.events:
        assert not inbox.record(found, text_of(found))
    inbox.drain(stripe_double)
    reconcile(stripe_double)
    assert left(customer) == WHOLE


def test_a_change_whose_events_stripe_no_longer_lists_is_found_by_comparing(
    customer: Customer, stripe_double: FakeStripe
) -> None:
    stripe_double.set("cus_1", subscription())
    assert reconcile(stripe_double).differing == 1
    assert Subscription.objects.tier_of(customer.user_id) == "pro"
    assert reconcile(stripe_double).differing == 0


def test_a_run_that_stripe_did_not_answer_is_made_up_for_by_the_next(
    customer: Customer, stripe_double: FakeStripe
) -> None:
    stripe_double.set("cus_1", subscription())
    stripe_double.events.append(event("invoice.paid"))
    stripe_double.away = True
    with pytest.raises(StripeAway):
        reconcile(stripe_double)
    run = ReconcilerRun.objects.get()
    assert (run.seen_until, run.ran_at) == (None, None)
    assert run.error
    assert not WebhookEvent.objects.exists()
    stripe_double.away = False
    assert reconcile(stripe_double).lost_events == 1
    assert Subscription.objects.tier_of(customer.user_id) == "pro"


def test_with_no_webhook_at_all_a_real_subscription_is_followed_to_its_end(
    running_sandbox: StripeSandbox, db: None, settings: Settings
) -> None:
    """Nothing is delivered: what the product hears of, the reconciler has asked for."""
    settings.STRIPE_API_BASE = running_sandbox.base
    shop = Shop(running_sandbox)
    customer = shop.customer()
    bought = shop.buy(customer)
    found = reconcile(worker_api())
    assert found.lost_events > 0
    assert Subscription.objects.tier_of(customer.user_id) == "pro"
    shop.api.cancel_now(bought.id, idempotency_key="over")
    reconcile(worker_api())
    assert Subscription.objects.tier_of(customer.user_id) == "free"
    assert left(customer)["trail"] == [("pro", "active"), ("free", "canceled")]
    assert left(customer)["mails"] == ["downgraded", "upgraded"]
    assert not WebhookEvent.objects.filter(state="pending").exists()
