"""A subscription's life of seven events, delivered in every order, each twice: one end."""

import datetime as dt
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import transaction

from accounts.models import User
from billing.models import Subscription
from billing.payments import inbox
from billing.payments.models import Customer, OutgoingMail, TierChange, WebhookEvent
from billing.payments.states import InvoiceState, SubscriptionState
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
NUMBERS = range(len(LIFE))
# How likely after so many events.  Seldom late: what follows an early visit is many orders'.
WORKER_COMES = {1: 0.5, 2: 0.5, 3: 0.4, 4: 0.2, 5: 0.05, 6: 0.02}


def events(customer_id: str = "cus_1") -> list[dict[str, Any]]:
    return [
        event(kind, customer_id, created=BORN + at) for kind, at in zip(LIFE, SECONDS, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class End:
    """All that is left of an order, but for moments and ids."""

    tier: str
    trail: tuple[tuple[str, str], ...]
    mails: tuple[str, ...]
    done: int
    kept: int


def ends(customers: list[Customer]) -> list[End]:
    """How it ended for each of them."""
    users = [customer.user_id for customer in customers]
    in_force = Subscription.objects.in_force().filter(user__in=users, tier="pro")
    changes = TierChange.objects.filter(user__in=users).order_by("id")
    owed = OutgoingMail.objects.filter(user__in=users).order_by("kind")
    paying = set(in_force.values_list("user", flat=True))
    trails = list(changes.values_list("user", "after", "reason"))
    mails = list(owed.values_list("user", "kind"))
    kept = Counter(WebhookEvent.objects.values_list("customer_stripe_id", "state"))
    return [
        End(
            tier="pro" if one.user_id in paying else "free",
            trail=tuple((after, why) for user, after, why in trails if user == one.user_id),
            mails=tuple(kind for user, kind in mails if user == one.user_id),
            done=kept[one.stripe_id, "done"],
            kept=sum(many for (whose, _), many in kept.items() if whose == one.stripe_id),
        )
        for one in customers
    ]


@contextmanager
def taken_back() -> Iterator[None]:
    """What is written within goes away at the end."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


class Orders:
    """Every order of the seven events, for seven customers side by side.

    Orders with a common beginning share it: after each of its ends the database is taken back to
    the beginning.  The customer number n gets the event number e + n where the first one gets e,
    so the 720 orders that begin with event 0 are, for the seven customers, all 5,040.
    """

    def __init__(self, customers: list[Customer], stripe: FakeStripe) -> None:
        self.customers, self.stripe = customers, stripe
        self.ends: Counter[End] = Counter()
        lives = [events(customer.stripe_id or "") for customer in customers]
        self._deliveries = [
            [life[(number + n) % len(LIFE)] for n, life in enumerate(lives)] for number in NUMBERS
        ]
        self._bodies = [[text_of(one) for one in each] for each in self._deliveries]

    def explore(self, order: tuple[int, ...], once: frozenset[int] = frozenset()) -> None:
        """Delivers the order's last event, and after it whatever may follow.

        Each event comes again, at a random moment; the worker comes at random moments, and at last.
        """
        dice = random.Random(str(order))
        self.deliver(order[-1])
        if len(order) < len(LIFE):
            again = {number for number in (*sorted(once), order[-1]) if dice.random() < 0.4}
            self.deliver(*again)
            if dice.random() < WORKER_COMES[len(order)]:
                inbox.drain(self.stripe)
            for following in sorted({*NUMBERS} - {*order}):
                with taken_back():
                    self.explore((*order, following), (once | {order[-1]}) - again)
            return
        again = [*once, order[-1]]
        dice.shuffle(again)
        early = dice.randint(0, len(again))
        self.deliver(*again[:early])
        inbox.drain(self.stripe)
        self.deliver(*again[early:])
        self.ends.update(ends(self.customers))

    def deliver(self, *numbers: int) -> None:
        for number in numbers:
            for found, body in zip(self._deliveries[number], self._bodies[number], strict=True):
                inbox.record(found, body)


@pytest.fixture
def customers(db: None) -> list[Customer]:
    """Seven, who all signed up and pay."""
    return [
        Customer.objects.create(
            user=User.objects.create_user(f"payer-{number}@example.com"),
            mode="sandbox",
            stripe_id=f"cus_{number}",
            refresh_wanted_at=dt.datetime.now(dt.UTC),
        )
        for number in NUMBERS
    ]


@pytest.mark.parametrize("second", NUMBERS[1:])
def test_every_order_ends_in_the_same_tier_trail_and_mails(
    second: int, customers: list[Customer], stripe_double: FakeStripe
) -> None:
    """A sixth of the 5,040 orders."""
    for customer in customers:
        stripe_double.set(customer.stripe_id or "", subscription(id=f"sub_{customer.stripe_id}"))
    assert inbox.drain(stripe_double) == len(customers)  # on pro since the sign-up
    for customer in customers:
        stripe_double.set(customer.stripe_id or "", subscription("canceled"))
    orders = Orders(customers, stripe_double)
    orders.deliver(0)
    orders.explore((0, second), frozenset({0}))
    trail = (("pro", "active"), ("free", "canceled"))
    assert orders.ends == {End("free", trail, ("downgraded", "upgraded"), 7, 7): 840}


@pytest.mark.parametrize("seed", range(40))
def test_deliveries_that_cross_the_changes_end_right(
    seed: int, customer: Customer, stripe_double: FakeStripe
) -> None:
    """Stripe's state moves on while events of earlier states still arrive, in any order."""
    dice = random.Random(seed)
    late = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    owed = InvoiceState("in_2", "open", late, due_cents=2999, paid_cents=0)
    states: list[list[SubscriptionState]] = [
        [],
        [subscription()],
        [subscription("past_due", period_starts_at=late, invoices=(owed,))],
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
    (end,) = ends([customer])
    times = len(end.trail) // 2
    assert (end.tier, end.done, end.kept) == ("free", 7, 7)
    assert [after for after, _ in end.trail] == ["pro", "free"] * times
    assert end.mails.count("upgraded") == end.mails.count("downgraded") == times
    assert end.mails.count("payment_failed") <= 1
