"""From a hint to a tier: fetch what Stripe has of a customer, and act on it, all or nothing.

Whoever hints at a change, be it an event, the return page, the reconciler or staff, leads to
`refresh`, and it asks Stripe anew each time.  So order, repetition and loss of hints do not
matter; the customer's row lock makes sure that what was fetched last is what is written last.
"""

import datetime as dt
import logging
import uuid
from dataclasses import dataclass
from typing import Final

from django.db import DatabaseError, transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from billing import funnel
from billing.models import Subscription
from billing.payments import follow_up, hints, letters, referrals
from billing.payments.entitlement import Entitlement, entitlement
from billing.payments.models import (
    Checkout,
    Customer,
    FunnelEvent,
    Repayment,
    TierChange,
    WebhookEvent,
)
from billing.payments.states import PAYING, CardState, CustomerState, SessionState
from billing.payments.stripe_api import StripeApi, StripeError
from billing.tiers import Tier

logger = logging.getLogger(__name__)

_FOLLOW_UP: Final = dt.timedelta(seconds=30)
_REFUSED: Final = dt.timedelta(hours=1)  # what Stripe refuses is for staff to look at
_BACK_OFF: Final = (2, 5, 10, 20, 30)  # seconds; the last one from then on


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a refresh came to."""

    entitlement: Entitlement
    changed: bool
    """Whether the tier that payments give is another than before."""


@dataclass(frozen=True, slots=True)
class _Written:
    """What one transaction has written, and of what."""

    customer: Customer
    state: CustomerState
    given: Entitlement
    changed: bool
    owes: bool
    """Whether something is to be done at Stripe because of it."""


def refresh(
    customer_pk: uuid.UUID, stripe: StripeApi, *, only_if_due: bool = False
) -> Refreshed | None:
    """Brings one customer in line with Stripe, and the events that hinted at it to their end.

    None where Stripe was never told of the customer or, with `only_if_due`, where another worker
    is at it or has done it.  Raises StripeError, or whatever an answer of an unknown shape leads
    to; what is not done then is tried again.
    """
    try:
        written = _write(customer_pk, stripe, only_if_due=only_if_due)
        if written is None:
            return None
        changed = written.changed
        if written.owes:
            done = follow_up.act(written.customer, written.state, written.given, stripe)
            again = _write(customer_pk, stripe, pause=_FOLLOW_UP if done else _REFUSED)
            written = again or written
            changed = changed or written.changed
    except DatabaseError:
        raise
    except Exception as error:
        known = isinstance(error, StripeError)
        _postpone(customer_pk, str(error) if known else type(error).__name__)
        raise
    return Refreshed(written.given, changed)


@transaction.atomic
def _write(
    customer_pk: uuid.UUID,
    stripe: StripeApi,
    *,
    only_if_due: bool = False,
    pause: dt.timedelta = _FOLLOW_UP,
) -> _Written | None:
    """Fetches and writes.  `pause`: until what is owed then is tried again."""
    # The lock is held while Stripe is asked: of two workers the second one asks after the first
    # one has written, so an older answer never overwrites a newer one.
    locked = Customer.objects.select_for_update(no_key=True, skip_locked=only_if_due)
    customer = locked.filter(pk=customer_pk).first()
    now = timezone.now()
    if customer is None or (only_if_due and not hints.is_due(customer, now)):
        return None
    if not customer.stripe_id:
        customer.refresh_wanted_at = None
        customer.save(update_fields=["refresh_wanted_at"])
        return None
    answered = list(_pending(customer).values_list("pk", flat=True))  # by the fetch that follows
    sessions = {one.stripe_id: one for one in customer.checkouts.filter(state="open")}
    state = stripe.fetch(customer.stripe_id, list(sessions))
    given = entitlement(state, now)
    _note_surplus(customer, given)
    change = _write_tier(customer, given, now)
    for session in state.sessions:
        _end_checkout(sessions[session.id], session, state.card, now)
    if given.tier == Tier.PRO and given.subscription is not None and state.has_paid:
        referrals.note_payment(customer, state, given.subscription.created_at, now)
    elif given.tier == Tier.FREE:
        referrals.note_loss(customer, state)
    letters.write(customer, given, change)
    owes = follow_up.is_owed(customer, state, given)
    _remember(customer, state, given, now, again=now + pause if owes else None)
    WebhookEvent.objects.filter(pk__in=answered).update(
        state=WebhookEvent.State.DONE,
        processed_at=now,
        attempts=F("attempts") + 1,
        outcome=f"{given.tier}: {given.reason}"[:300],
    )
    return _Written(customer, state, given, change is not None, owes)


def _pending(customer: Customer) -> QuerySet[WebhookEvent]:
    return WebhookEvent.objects.filter(
        mode=customer.mode,
        customer_stripe_id=customer.stripe_id or "",
        state=WebhookEvent.State.PENDING,
    )


def _write_tier(customer: Customer, given: Entitlement, now: dt.datetime) -> TierChange | None:
    """The tier that payments give, and its line in the audit trail if it is another one."""
    subscription, created = Subscription.objects.get_or_create(
        user_id=customer.user_id,
        source=Subscription.Source.STRIPE,
        defaults={"tier": Tier.FREE},
    )
    before = subscription.tier
    if created or (before, subscription.ends_at) != (given.tier, given.ends_at):
        subscription.tier, subscription.ends_at = given.tier, given.ends_at
        subscription.save(update_fields=["tier", "ends_at", "updated_at"])
    if before == given.tier:
        return None
    paid = given.subscription
    return TierChange.objects.create(
        user_id=customer.user_id,
        at=now,
        before=before,
        after=given.tier,
        reason=given.reason,
        detail={
            "mode": customer.mode,
            "customer": customer.stripe_id,
            "subscription": paid.id if paid else None,
            "status": paid.status if paid else None,
            "ends_at": given.ends_at.isoformat() if given.ends_at else None,
        },
    )


def _note_surplus(customer: Customer, given: Entitlement) -> None:
    """Notes which subscriptions are second ones.

    What is done about them comes after this transaction: killed at any point of it, the next
    refresh still knows that they were ours to give back, and says so to the customer.
    """
    kept = given.subscription
    for one in given.surplus:
        assert kept is not None
        Repayment.objects.get_or_create(
            subscription_id=one.id,
            defaults={
                "customer": customer,
                "reason": f"A second subscription beside {kept.id}.",
                "owes_refund": one.status in PAYING,
            },
        )


def _end_checkout(
    checkout: Checkout, session: SessionState, card: CardState | None, now: dt.datetime
) -> None:
    if session.status == Checkout.State.OPEN:
        return
    checkout.state, checkout.ended_at = session.status, now
    checkout.subscription_id = session.subscription_id
    checkout.save(update_fields=["state", "ended_at", "subscription_id"])
    if session.status == Checkout.State.COMPLETE and session.payment_status != "unpaid":
        referrals.use(checkout, card, now)
        funnel.note(checkout.customer.user_id, FunnelEvent.Kind.PAID, window=str(checkout.pk))


def _remember(
    customer: Customer,
    state: CustomerState,
    given: Entitlement,
    now: dt.datetime,
    *,
    again: dt.datetime | None,
) -> None:
    """What pages show of it, that it was fetched, and when it has to be again."""
    paid = given.subscription
    unpaid = [invoice for invoice in paid.invoices if invoice.status == "open"] if paid else []
    customer.fetched_at = now
    customer.refresh_wanted_at, customer.refresh_failures = again, 0
    customer.subscription_id = paid.id if paid else ""
    customer.status = paid.status if paid else ""
    customer.price_key = paid.price_key if paid else ""
    customer.price_cents = paid.price_cents if paid else 0
    customer.period_ends_at = paid.period_ends_at if paid else None
    customer.cancels_at = paid.cancels_at if paid else None
    past_due = paid is not None and paid.status == "past_due"
    customer.access_ends_at = given.ends_at if past_due else None
    customer.next_attempt_at = unpaid[0].next_attempt_at if unpaid else None
    customer.amount_due_cents = unpaid[0].due_cents if unpaid else 0
    card = state.card
    customer.card_brand = card.brand if card else ""
    customer.card_last_four = card.last_four if card else ""
    if card and card.fingerprint:  # the last one stays, for whom it would be the same card
        customer.card_fingerprint = card.fingerprint
    customer.has_paid = customer.has_paid or state.has_paid
    customer.disputed = given.disputed
    if state.is_gone:
        customer.stripe_id = None  # the next checkout makes another one
    customer.save()


def back_off(failures: int) -> dt.timedelta:
    """How long to wait after one more failure than so many."""
    return dt.timedelta(seconds=_BACK_OFF[min(failures, len(_BACK_OFF) - 1)])


def _postpone(customer_pk: uuid.UUID, reason: str) -> None:
    """Notes when to try again, sooner at first."""
    with transaction.atomic():
        customer = Customer.objects.select_for_update(no_key=True).get(pk=customer_pk)
        again = timezone.now() + back_off(customer.refresh_failures)
        customer.refresh_failures += 1
        customer.refresh_wanted_at = again
        customer.save(update_fields=["refresh_failures", "refresh_wanted_at"])
        _pending(customer).update(
            attempts=F("attempts") + 1, next_attempt_at=again, outcome=reason[:300]
        )
