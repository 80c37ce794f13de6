"""The webhook inbox: what was delivered is kept once, and leads to one refresh or to nothing."""

import datetime as dt
import json
import logging
import threading
from collections.abc import Mapping
from typing import Any, Final

from django.conf import settings
from django.db import connection
from django.db.models import Q
from django.utils import timezone

from accounts.identifiers import uuid7
from billing.payments import hints
from billing.payments.backlog import Backlog
from billing.payments.fulfilment import back_off
from billing.payments.models import Customer, WebhookEvent
from billing.payments.stripe_api import API_VERSION, StripeApi, StripeAway, StripeRefused

logger = logging.getLogger(__name__)

TYPES: Final = (
    "checkout.session.completed",
    "checkout.session.expired",
    "customer.subscription.created",
    "customer.subscription.updated",
    "customer.subscription.deleted",
    "customer.subscription.paused",
    "customer.subscription.resumed",
    "customer.deleted",
    "customer.updated",
    "invoice.paid",
    "invoice.payment_failed",
    "invoice.payment_action_required",
    "invoice.voided",
    "invoice.marked_uncollectible",
    "charge.refunded",
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.closed",
)
"""What the reconciler looks for, and what the webhook endpoint should be sent."""

# Of twenty deliveries at once the unique id lets one in, and this says which.
_INSERT: Final = """
INSERT INTO billing_webhookevent (
       id, event_id, type, customer_stripe_id, mode, api_version, foreign_version, payload,
       created_at, found_by_reconciler, received_at, next_attempt_at, state, attempts, outcome)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, now(), now(), 'pending', 0, '')
    ON CONFLICT (event_id) DO NOTHING
"""
_AT_ONCE: Final = 100
_draining: Final = threading.Lock()
_DISPUTE_AGAIN: Final = dt.timedelta(minutes=10)
_UNRESOLVED: Final = Q(type__startswith="charge.dispute.", customer_stripe_id="")
_LONGEST: Final = 120  # the shortest of the columns; Stripe's ids and types are far shorter


def record(event: Mapping[str, Any], payload: str, *, found_by_reconciler: bool = False) -> bool:
    """Keeps an event; whether it is new.

    Raises KeyError, TypeError, ValueError or OverflowError for what no event of Stripe's is like.
    """
    event_id = _text(event["id"])
    version = _text(event.get("api_version") or "")
    foreign = version != API_VERSION
    row = (
        uuid7(),
        event_id,
        _text(event["type"]),
        _customer_of(event),
        settings.STRIPE_MODE,
        version,
        foreign,
        payload,
        dt.datetime.fromtimestamp(event["created"], dt.UTC),
        found_by_reconciler,
    )
    with connection.cursor() as cursor:
        cursor.execute(_INSERT, row)
        new: bool = cursor.rowcount == 1
    if new and foreign:
        logger.error(
            "event %s has API version %s, not %s: set the webhook endpoint's version",
            event_id,
            version,
            API_VERSION,
        )
    return new


def drain(stripe: StripeApi) -> int:
    """Refreshes every customer that something hints at now; how many that were.

    Stops where Stripe does not answer (see Backlog).  While one thread of a process is at it the
    others leave it to it, and to the beat: with a Stripe that hangs, every thread of the worker
    would hang with it, and nothing else would be done.
    """
    if not _draining.acquire(blocking=False):
        return 0
    try:
        _find_customers_of_disputes(stripe)
        _ignore_strangers()
        return Backlog(hints.due(timezone.now())[:_AT_ONCE], stripe).work_off()
    finally:
        _draining.release()


def _find_customers_of_disputes(stripe: StripeApi) -> None:
    """A dispute names its charge and not its customer.

    Where Stripe does not say whose a charge is, that dispute waits, and for the time being so do
    the others that are to be looked up; whoever else something hints at does not.
    """
    disputes = WebhookEvent.objects.filter(
        _UNRESOLVED,
        mode=settings.STRIPE_MODE,
        state=WebhookEvent.State.PENDING,
        next_attempt_at__lte=timezone.now(),
    )
    for event in disputes[:_AT_ONCE]:
        try:
            charge = json.loads(event.payload)["data"]["object"]["charge"]
            event.customer_stripe_id = stripe.customer_of_charge(charge) or "?"
        except StripeAway as error:
            logger.warning("Stripe does not say whose dispute %s is: %s", event.event_id, error)
            _postpone(event, error, back_off(event.attempts))
            return
        except (StripeRefused, KeyError, TypeError) as error:
            logger.exception("whose charge dispute %s is about can't be found", event.event_id)
            _postpone(event, error, _DISPUTE_AGAIN)
        else:
            event.save(update_fields=["customer_stripe_id"])


def _postpone(event: WebhookEvent, error: Exception, pause: dt.timedelta) -> None:
    event.attempts += 1
    event.next_attempt_at = timezone.now() + pause
    event.outcome = f"{type(error).__name__}: {error}"[:300]
    event.save(update_fields=["attempts", "next_attempt_at", "outcome"])


def _ignore_strangers() -> None:
    """Ends events about nobody whom we know: no subscription of ours can be theirs."""
    known = Customer.objects.filter(mode=settings.STRIPE_MODE).exclude(stripe_id=None)
    WebhookEvent.objects.filter(
        ~_UNRESOLVED, mode=settings.STRIPE_MODE, state=WebhookEvent.State.PENDING
    ).exclude(customer_stripe_id__in=known.values("stripe_id")).update(
        state=WebhookEvent.State.IGNORED, processed_at=timezone.now(), outcome="no customer of ours"
    )


def _customer_of(event: Mapping[str, Any]) -> str:
    """The customer's id at Stripe; empty where the event is about none."""
    found = event["data"]["object"]
    is_one = found.get("object") == "customer"
    customer = found["id"] if is_one else found.get("customer")
    return _text(customer or "")


def _text(value: object) -> str:
    """A text of Stripe's that a column can hold.  TypeError or ValueError for anything else."""
    if not isinstance(value, str):
        raise TypeError("not a text")
    if len(value) > _LONGEST or "\0" in value:
        raise ValueError("too long, or with a NUL")
    return value


def payload_of(event: Mapping[str, Any]) -> str:
    """The text that is kept of an event that came by another way than a webhook."""
    return json.dumps(event, separators=(",", ":"), default=str)
