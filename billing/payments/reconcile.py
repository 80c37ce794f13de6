"""Finds what was lost: every event since the last look, and every customer that differs.

It only hints: what it finds goes through the inbox or asks for a refresh, as everything does.
"""

import datetime as dt
import logging
from dataclasses import dataclass
from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from billing.models import Subscription
from billing.payments import inbox
from billing.payments.catalogue import PRICES
from billing.payments.hints import ask_for_refresh
from billing.payments.models import Checkout, Customer, Mode, ReconcilerRun, TierChange
from billing.payments.states import ENTITLING, OVER, SubscriptionState
from billing.payments.stripe_api import StripeApi, StripeError
from billing.tiers import Tier

logger = logging.getLogger(__name__)

_OVERLAP: Final = dt.timedelta(hours=1)  # for clocks that differ, and for slow deliveries
_LISTED_FOR: Final = dt.timedelta(days=30)  # how far back Stripe lists events


@dataclass(frozen=True, slots=True)
class Found:
    """What a run found amiss."""

    lost_events: int
    """Events that no webhook had brought."""
    differing: int
    """Customers whose refresh was asked for."""
    of_another_mode: int
    """Tiers that another Stripe's payments gave, ended."""


def reconcile(stripe: StripeApi) -> Found:
    """One look at everything.  Raises StripeError when Stripe does not answer; nothing is lost."""
    run, _ = ReconcilerRun.objects.get_or_create(mode=settings.STRIPE_MODE)
    now = timezone.now()
    try:
        of_another_mode = _end_other_modes(now)
        found = Found(_lost_events(run, stripe, now), _differing(stripe, now), of_another_mode)
    except StripeError as error:
        run.error = str(error)[:300]
        run.save(update_fields=["error"])
        raise
    run.seen_until, run.ran_at, run.error = now, now, ""
    run.save()
    inbox.drain(stripe)
    return found


def _lost_events(run: ReconcilerRun, stripe: StripeApi, now: dt.datetime) -> int:
    # A first run has seen nothing: the comparison of every customer covers what was before.
    since = max(run.seen_until or now, now - _LISTED_FOR) - _OVERLAP
    events = stripe.events_since(since, inbox.TYPES)
    return sum(
        inbox.record(event, inbox.payload_of(event), found_by_reconciler=True) for event in events
    )


def _differing(stripe: StripeApi, now: dt.datetime) -> int:
    """Asks for a refresh of each customer whose subscription is another than we remember."""
    at_stripe: dict[str, list[SubscriptionState]] = {}
    for customer_id, subscription in stripe.every_subscription():
        at_stripe.setdefault(customer_id, []).append(subscription)
    ours = Customer.objects.filter(mode=settings.STRIPE_MODE).exclude(stripe_id=None)
    wanted = [
        one.pk for one in ours.iterator() if _differs(one, at_stripe.get(one.stripe_id or ""))
    ]
    sessions = Checkout.objects.filter(state=Checkout.State.OPEN, expires_at__lte=now)
    differing = ours.filter(
        Q(pk__in=wanted) | Q(pk__in=sessions.values("customer")), refresh_wanted_at=None
    )
    return ask_for_refresh(differing, now)


def _differs(customer: Customer, subscriptions: list[SubscriptionState] | None) -> bool:
    remembered = (
        customer.subscription_id,
        customer.status,
        customer.period_ends_at,
        customer.cancels_at,
        customer.price_key,
    )
    going_on = [
        one for one in subscriptions or () if one.status not in OVER and one.price_key in PRICES
    ]
    if not going_on:
        return customer.status not in ("", *OVER)
    return [remembered] != [
        (one.id, one.status, one.period_ends_at, one.cancels_at, one.price_key) for one in going_on
    ]


def _end_other_modes(now: dt.datetime) -> int:
    """What was paid in a sandbox gives nothing once Stripe itself is configured, and vice versa.

    Stripe need not be asked: who is not known to pay here was never fetched here with pro.
    """
    ours = Customer.objects.filter(mode=settings.STRIPE_MODE)
    strangers = Subscription.objects.filter(
        source=Subscription.Source.STRIPE, tier=Tier.PRO
    ).exclude(user__in=ours.filter(status__in=ENTITLING).values("user"))
    if settings.STRIPE_MODE != Mode.LIVE:
        # A test key by mistake, on a site with customers: it must not take from them what they pay.
        live = Customer.objects.filter(mode=Mode.LIVE, status__in=ENTITLING)
        if kept := strangers.filter(user__in=live.values("user")).count():
            logger.error(
                "%d users pay in Stripe's live mode, and the key here is not live: they keep pro",
                kept,
            )
        strangers = strangers.exclude(user__in=live.values("user"))
    with transaction.atomic():
        # Whoever a worker holds may be paying here at this moment: the next run looks again.
        known = ours.filter(user__in=strangers.values("user"))
        free = known.select_for_update(skip_locked=True, no_key=True)
        judged = Q(user__in=[one.user_id for one in free]) | ~Q(user__in=ours.values("user"))
        ended = list(strangers.filter(judged).select_for_update())
        # Once the mode that they paid in is configured again, its worker looks at them first.
        Customer.objects.exclude(mode=settings.STRIPE_MODE).filter(
            user__in=[one.user_id for one in ended]
        ).update(refresh_wanted_at=now)
        for subscription in ended:
            subscription.tier, subscription.ends_at = Tier.FREE, None
            subscription.save(update_fields=["tier", "ends_at", "updated_at"])
            TierChange.objects.create(
                user_id=subscription.user_id,
                at=now,
                before=Tier.PRO,
                after=Tier.FREE,
                reason="paid in another mode",
                detail={"mode": settings.STRIPE_MODE},
            )
    return len(ended)
