"""Ends that come by the clock: no webhook, no worker and no reconciler has to do anything."""

import datetime as dt
import uuid

import pytest
from asgiref.sync import sync_to_async
from django.utils import timezone

from accounts.postgres import ReadPool
from billing.models import Subscription
from billing.payments import inbox
from billing.payments.entitlement import GRACE
from billing.payments.fulfilment import refresh
from billing.payments.models import Customer, OutgoingMail, TierChange
from billing.payments.states import SubscriptionState
from billing.plans import PlanBook
from tests.billing.fake_stripe import FakeStripe, subscription

DAY = dt.timedelta(days=1)
SOON = dt.timedelta(seconds=2)
ENDS = ["past due", "cancelled", "never renewed"]


def ending(kind: str, at: dt.datetime) -> SubscriptionState:
    """A subscription that stops giving pro at this moment, if nothing else is heard."""
    if kind == "past due":
        return subscription("past_due", period_starts_at=at - GRACE, invoices=())
    if kind == "cancelled":
        return subscription(cancels_at=at, period_ends_at=at)
    return subscription(period_ends_at=at - GRACE)


def written() -> tuple[list[str], list[str]]:
    """The audit trail and the mails about it."""
    mails = OutgoingMail.objects.filter(kind__in=("upgraded", "downgraded"))
    return (
        list(TierChange.objects.order_by("id").values_list("after", flat=True)),
        list(mails.order_by("id").values_list("kind", flat=True)),
    )


@pytest.mark.parametrize("kind", ENDS)
async def test_the_tier_ends_by_the_clock_while_nothing_is_heard_or_done(
    kind: str, reads: ReadPool, customer: Customer, stripe_double: FakeStripe
) -> None:
    """On the request path and on pages; what is asked before the end is pro, after it free."""
    plans = PlanBook(reads)
    await plans.refresh()
    ends_at = timezone.now() + SOON
    stripe_double.set("cus_1", ending(kind, ends_at))
    await sync_to_async(refresh)(customer.pk, stripe_double)
    seen = set()
    while "free" not in seen:
        before = await clock(reads)
        tiers = {await tier_on_the_request_path(plans, customer.user_id), await tier_of(customer)}
        after = await clock(reads)
        if after < ends_at:
            assert tiers == {"pro"}
        if before >= ends_at:
            assert tiers == {"free"}
        seen |= tiers
    assert "pro" in seen
    assert stripe_double.fetches == 1
    assert await sync_to_async(written)() == (["pro"], ["upgraded"])


@sync_to_async
def tier_of(customer: Customer) -> str:
    return Subscription.objects.tier_of(customer.user_id)


async def tier_on_the_request_path(plans: PlanBook, user_id: uuid.UUID) -> str:
    return (await plans.limits_for_user(user_id)).tier


async def clock(reads: ReadPool) -> dt.datetime:
    """The database's, by which ends are judged."""
    ((now,),) = await reads.fetch("SELECT clock_timestamp()")
    return now


def over(kind: str, customer: Customer, stripe: FakeStripe) -> None:
    """The customer's tier has ended; nobody has looked since."""
    stripe.set("cus_1", ending(kind, timezone.now() + DAY))
    refresh(customer.pk, stripe)
    ended = timezone.now() - dt.timedelta(seconds=1)
    Subscription.objects.update(ends_at=ended)
    stripe.set("cus_1", ending(kind, ended))


@pytest.mark.parametrize("kind", ENDS)
def test_the_worker_writes_the_end_down_once(
    kind: str, customer: Customer, stripe_double: FakeStripe
) -> None:
    over(kind, customer, stripe_double)
    assert Subscription.objects.tier_of(customer.user_id) == "free"
    for _ in range(3):
        inbox.drain(stripe_double)
    assert written() == (["pro", "free"], ["upgraded", "downgraded"])
    assert stripe_double.fetches == 2  # the second one wrote it, and then there was nothing to do


def test_a_renewal_that_nobody_told_of_is_found_when_the_time_is_over(
    customer: Customer, stripe_double: FakeStripe
) -> None:
    over("never renewed", customer, stripe_double)
    stripe_double.set("cus_1", subscription())
    inbox.drain(stripe_double)
    assert Subscription.objects.tier_of(customer.user_id) == "pro"
    assert written() == (["pro"], ["upgraded"])


def test_while_stripe_is_away_an_end_is_an_end(
    customer: Customer, stripe_double: FakeStripe
) -> None:
    over("cancelled", customer, stripe_double)
    stripe_double.away = True
    inbox.drain(stripe_double)
    assert Subscription.objects.tier_of(customer.user_id) == "free"
    assert written() == (["pro"], ["upgraded"])
