"""The webhook inbox: what was delivered is kept once, and leads to one refresh or to nothing."""

import datetime as dt
import json
import logging
import threading
import uuid
from collections.abc import Mapping
from typing import Any, Final

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.models import Q
from django.utils import timezone

from accounts.identifiers import uuid7
from billing.payments import hints
from billing.payments.fulfilment import refresh
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
_DISPUTE_SOON: Final = dt.timedelta(seconds=30)
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

    Stops at the first call that Stripe does not answer: the others would wait for it as long.
    Whatever else is wrong with one customer, the others go on.  While one thread of a process is
    at it the others leave it to it, and to the beat: with a Stripe that hangs, every thread of the
    worker would hang with it, and nothing else would be done.
    """
    if not _draining.acquire(blocking=False):
        return 0
    try:
        return _drain(stripe)
    finally:
        _draining.release()


def _drain(stripe: StripeApi) -> int:
    done = 0
    try:
        _find_customers_of_disputes(stripe)
        _ignore_strangers()
        for customer_pk in hints.due(timezone.now())[:_AT_ONCE]:
            done += _refreshed(customer_pk, stripe)
    except StripeAway as error:
        logger.warning("Stripe is away (%s); %d refreshed before", error, done)
    return done


def _refreshed(customer_pk: uuid.UUID, stripe: StripeApi) -> bool:
    try:
        return refresh(customer_pk, stripe, only_if_due=True) is not None
    except (StripeAway, DatabaseError):
        raise
    except Exception:
        logger.exception("customer %s can't be refreshed", customer_pk)
        return False


def _find_customers_of_disputes(stripe: StripeApi) -> None:
    """A dispute names its charge and not its customer."""
    now = timezone.now()
    disputes = WebhookEvent.objects.filter(
        mode=settings.STRIPE_MODE,
        state=WebhookEvent.State.PENDING,
        type__startswith="charge.dispute.",
        customer_stripe_id="",
        next_attempt_at__lte=now,
    )
    for event in disputes[:_AT_ONCE]:
        try:
            charge = json.loads(event.payload)["data"]["object"]["charge"]
            event.customer_stripe_id = stripe.customer_of_charge(charge) or "?"
        except (StripeRefused, KeyError, TypeError) as error:
            logger.exception("whose charge dispute %s is about can't be found", event.event_id)
            event.attempts += 1
            event.next_attempt_at = now + _DISPUTE_AGAIN
            event.outcome = f"{type(error).__name__}: {error}"[:300]
        except StripeAway as error:
            # The customers come next all the same: it may be this one call that is not answered.
            event.attempts += 1
            event.next_attempt_at = now + _DISPUTE_SOON
            event.outcome = str(error)[:300]
        event.save(update_fields=["customer_stripe_id", "attempts", "next_attempt_at", "outcome"])
        if event.customer_stripe_id == "":
            break


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
