"""How payments sell and run, for staff and the doctor: of the Stripe that is configured."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from django.conf import settings
from django.db.models import Count, Exists, Min, OuterRef, Q

from accounts.identifiers import uuid7_floor
from billing.mails import MOST_ATTEMPTS
from billing.models import Subscription
from billing.payments.catalogue import PRICES
from billing.payments.models import (
    Customer,
    FunnelEvent,
    OutgoingMail,
    ReconcilerRun,
    WebhookEvent,
)
from billing.tiers import Tier

INBOX_LATE: Final = dt.timedelta(minutes=5)
"""An event that waits longer means that no worker acts, or that Stripe does not answer."""

RECONCILER_LATE: Final = dt.timedelta(minutes=30)
"""Three of its rounds."""

_DAY: Final = dt.timedelta(days=1)
_STEPS: Final = (
    FunnelEvent.Kind.SHOWN,
    FunnelEvent.Kind.CLICKED,
    FunnelEvent.Kind.CHECKOUT,
    FunnelEvent.Kind.PAID,
)


@dataclass(frozen=True, slots=True)
class Sales:
    """Who pays for what."""

    paying: Mapping[str, int]
    """Users on pro by what they pay, for each price key; those who are past due among them."""
    past_due: int
    disputed: int
    monthly_cents: int
    """What they pay a month at the list price, a twelfth of it for a year."""


def sales() -> Sales:
    """As of what was fetched last."""
    pro = Subscription.objects.in_force().filter(
        user=OuterRef("user"), source=Subscription.Source.STRIPE, tier=Tier.PRO
    )
    ours = Customer.objects.filter(mode=settings.STRIPE_MODE)
    by_price = (
        ours.filter(Exists(pro), status__in=("active", "past_due"), price_key__in=PRICES)
        .values_list("price_key")
        .order_by()
        .annotate(Count("pk"))
    )
    counted = dict(by_price)
    paying = {key: counted.get(key, 0) for key in PRICES}
    of_a_year = {"month": 12, "year": 1}
    yearly = sum(
        PRICES[key].cents * of_a_year[PRICES[key].interval] * paying[key] for key in PRICES
    )
    flagged = ours.aggregate(
        past_due=Count("pk", filter=Q(status="past_due")),
        disputed=Count("pk", filter=Q(disputed=True)),
    )
    return Sales(paying, flagged["past_due"], flagged["disputed"], round(yearly / 12))


@dataclass(frozen=True, slots=True)
class Running:
    """Whether what is bought arrives."""

    waiting: int
    """Events in the inbox that nobody has acted on."""
    oldest_at: dt.datetime | None
    """When the first of them came."""
    reconciled_at: dt.datetime | None
    """When the reconciler last saw all of Stripe."""
    reconciler_error: str
    """Why it has not since; empty: it has."""
    foreign_events: int
    """Events of the last day that were rendered in another API version than ours."""
    unsent_mails: int
    given_up_mails: int
    """Those of them that are left to staff."""


def running(now: dt.datetime) -> Running:
    """As of now."""
    events = WebhookEvent.objects.filter(mode=settings.STRIPE_MODE)
    inbox = events.filter(state=WebhookEvent.State.PENDING).aggregate(
        count=Count("pk"), oldest=Min("received_at")
    )
    run = ReconcilerRun.objects.filter(mode=settings.STRIPE_MODE).first()
    unsent = OutgoingMail.objects.filter(sent_at=None).aggregate(
        count=Count("pk"), given_up=Count("pk", filter=Q(attempts__gte=MOST_ATTEMPTS))
    )
    return Running(
        waiting=inbox["count"],
        oldest_at=inbox["oldest"],
        reconciled_at=run.ran_at if run else None,
        reconciler_error=run.error if run else "",
        foreign_events=events.filter(pk__gte=uuid7_floor(now - _DAY), foreign_version=True).count(),
        unsent_mails=unsent["count"],
        given_up_mails=unsent["given_up"],
    )


def funnel_since(since: dt.datetime) -> dict[str, int]:
    """How many accounts took each step towards paying, in the steps' order."""
    counted = dict(
        FunnelEvent.objects.filter(pk__gte=uuid7_floor(since), kind__in=_STEPS)
        .values_list("kind")
        .order_by()
        .annotate(Count("account_id", distinct=True))
    )
    return {step.value: counted.get(step.value, 0) for step in _STEPS}
