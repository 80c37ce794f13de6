"""Which customers something hints at: an event, a wish for a refresh, a time that is over."""

import datetime as dt
import uuid

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from billing.models import Subscription
from billing.payments.models import Customer, WebhookEvent
from billing.tiers import Tier


def due(now: dt.datetime) -> "QuerySet[Customer, uuid.UUID]":
    """Their keys.  Three look-ups, each with an index of its own: it is asked every two seconds."""
    ours = Customer.objects.filter(mode=settings.STRIPE_MODE).order_by()
    pending = _pending(now).filter(mode=settings.STRIPE_MODE).order_by()
    by_event = ours.filter(stripe_id__in=pending.values("customer_stripe_id"))
    by_wish = ours.filter(refresh_wanted_at__lte=now)
    by_time = ours.filter(user__in=_ended(now).values("user"), refresh_wanted_at=None)
    first, *others = (found.values_list("pk", flat=True) for found in (by_event, by_wish, by_time))
    return first.union(*others)


def is_due(customer: Customer, now: dt.datetime) -> bool:
    """Whether this one still is: another worker may have acted on it meanwhile."""
    wanted_at = customer.refresh_wanted_at
    if wanted_at is not None and wanted_at <= now:
        return True
    if wanted_at is None and _ended(now).filter(user=customer.user_id).exists():
        return True
    events = _pending(now).filter(mode=customer.mode, customer_stripe_id=customer.stripe_id or "")
    return events.exists()


def _pending(now: dt.datetime) -> "QuerySet[WebhookEvent]":
    return WebhookEvent.objects.filter(state=WebhookEvent.State.PENDING, next_attempt_at__lte=now)


def _ended(now: dt.datetime) -> "QuerySet[Subscription]":
    return Subscription.objects.filter(
        source=Subscription.Source.STRIPE, tier=Tier.PRO, ends_at__lte=now
    )


def ask_for_refresh(customers: "QuerySet[Customer]", now: dt.datetime) -> int:
    """Has the worker fetch them; how many.  Passes over those that a worker holds: it asks Stripe
    itself, and whoever waited for it could come to wait for each other.
    """
    with transaction.atomic():
        free = list(
            customers.select_for_update(skip_locked=True, no_key=True).values_list("pk", flat=True)
        )
        return Customer.objects.filter(pk__in=free).update(refresh_wanted_at=now)
