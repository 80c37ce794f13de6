"""A subscription's life of seven events, delivered in every order, each twice: one end."""

import datetime as dt
import itertools
import random
from contextlib import suppress
from typing import Any

import pytest
from django.db import transaction

from billing.models import Subscription
from billing.payments import inbox
from billing.payments.models import Customer, OutgoingMail, TierChange, WebhookEvent
from billing.payments.states import SubscriptionState
from tests.billing.fake_stripe import FakeStripe, event, subscription, text_of

# Signs up, renews in vain, recovers, cancels.  The two updates share a second.
LIFE = [
    "checkout.session.completed",
    "customer.subscription.created",
    "invoice.paid",
    "invoice.payment_failed",
    "customer.subscription.updated",
    "customer.subscription.updated",
    "customer.subscription.deleted",
]
BORN = int(dt.datetime(2026, 11, 1, tzinfo=dt.UTC).timestamp())
SECONDS = [0, 1, 2, 86_400, 90_000, 90_000, 172_800]


class Undone(Exception):
    """Takes back what an order has written."""


def events() -> list[dict[str, Any]]:
    return [event(kind, created=BORN + at) for kind, at in zip(LIFE, SECONDS, strict=True)]


def deliver_twice(order: tuple[dict[str, Any], ...], stripe: FakeStripe, seed: int) -> None:
    """Each event and, at a random later moment, itself again; the worker comes when it comes."""
    deliveries = [*order]
    dice = random.Random(seed)
    for one in order:
        deliveries.insert(dice.randint(deliveries.index(one) + 1, len(deliveries)), one)
    for one in deliveries:
        inbox.record(one, text_of(one))
        if dice.random() < 0.1:
            inbox.drain(stripe)
    inbox.drain(stripe)


def outcome(customer: Customer) -> tuple[Any, ...]:
    """All that is left of an order, but for moments and ids."""
    user = customer.user_id
    return (
        Subscription.objects.tier_of(user),
        list(TierChange.objects.filter(user=user).order_by("id").values_list("after", "reason")),
        sorted(OutgoingMail.objects.filter(user=user).values_list("kind", flat=True)),
        WebhookEvent.objects.filter(state="done").count(),
        WebhookEvent.objects.count(),
    )


@pytest.mark.parametrize("first", range(7))
def test_every_order_ends_in_the_same_tier_trail_and_mails(
    first: int, customer: Customer, stripe_double: FakeStripe
) -> None:
    """The 720 orders that begin with one of the seven: 5,040 in all."""
    stripe_double.set("cus_1", subscription())
    inbox.drain(stripe_double)
    Customer.objects.filter(pk=customer.pk).update(refresh_wanted_at=dt.datetime.now(dt.UTC))
    inbox.drain(stripe_double)  # on pro since the sign-up
    stripe_double.set("cus_1", subscription("canceled"))
    seven = events()
    others = [one for number, one in enumerate(seven) if number != first]
    ends = set()
    for number, rest in enumerate(itertools.permutations(others)):
        with suppress(Undone), transaction.atomic():
            deliver_twice((seven[first], *rest), stripe_double, seed=number)
            ends.add(str(outcome(customer)))
            raise Undone
    trail = [("pro", "active"), ("free", "canceled")]
    assert ends == {str(("free", trail, ["downgraded", "upgraded"], 7, 7))}


@pytest.mark.parametrize("seed", range(40))
def test_deliveries_that_cross_the_changes_end_right(
    seed: int, customer: Customer, stripe_double: FakeStripe
) -> None:
    """Stripe's state moves on while events of earlier states still arrive, in any order."""
    dice = random.Random(seed)
    late = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    states: list[list[SubscriptionState]] = [
        [],
        [subscription()],
        [subscription("past_due", period_starts_at=late, invoices=())],
        [subscription()],
        [subscription("canceled")],
    ]
    waiting: list[dict[str, Any]] = []
    for state, happened in zip(states, ([], [0, 1, 2], [3, 4], [5], [6]), strict=True):
        stripe_double.set("cus_1", *state)
        seven = events()
        waiting += [seven[number] for number in happened] * 2
        dice.shuffle(waiting)
        for _ in range(dice.randint(0, len(waiting))):
            one = waiting.pop()
            if inbox.record(one, text_of(one)):
                inbox.drain(stripe_double)
    for one in waiting:
        inbox.record(one, text_of(one))
    inbox.drain(stripe_double)
    tier, trail, mails, done, kept = outcome(customer)
    assert (tier, done, kept) == ("free", 7, 7)
    assert [after for after, _ in trail] == ["pro", "free"] * (len(trail) // 2)
    assert mails.count("upgraded") == mails.count("downgraded") == len(trail) // 2
