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
from billing.payments import letters, referrals
from billing.payments.entitlement import Entitlement, entitlement
from billing.payments.models import (
    Checkout,
    Customer,
    FunnelEvent,
    Repayment,
    TierChange,
    WebhookEvent,
)
from billing.payments.states import CustomerState, SessionState, SubscriptionState
from billing.payments.stripe_api import StripeApi, StripeError, StripeMissing, StripeRefused
from billing.tiers import Tier

logger = logging.getLogger(__name__)

_OVER: Final = ("canceled", "incomplete_expired")
_BACK_OFF: Final = (2, 5, 10, 20, 30)  # seconds; the last one from then on


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a refresh came to."""

    entitlement: Entitlement
    changed: bool
    """Whether the tier that payments give is another than before."""
    owes: bool = False
    """Whether a second subscription was noted, to be given back by the next refresh."""


def refresh(customer_pk: uuid.UUID, stripe: StripeApi) -> Refreshed | None:
    """Brings one customer in line with Stripe, and the events that hinted at it to their end.

    None where Stripe was never told of the customer.  Raises StripeError, or whatever an answer
    of an unknown shape leads to, and nothing is written but when to try again.
    """
    try:
        refreshed = _refresh(customer_pk, stripe)
        if refreshed is None or not refreshed.owes:
            return refreshed
        then = _refresh(customer_pk, stripe)
    except DatabaseError:
        raise
    except Exception as error:
        known = isinstance(error, StripeError)
        _postpone(customer_pk, str(error) if known else type(error).__name__)
        raise
    return then and Refreshed(then.entitlement, refreshed.changed or then.changed)


@transaction.atomic
def _refresh(customer_pk: uuid.UUID, stripe: StripeApi) -> Refreshed | None:
    # The lock is held while Stripe is asked: of two workers the second one asks after the first
    # one has written, so an older answer never overwrites a newer one.
    customer = Customer.objects.select_for_update(no_key=True).get(pk=customer_pk)
    if not customer.stripe_id:
        customer.refresh_wanted_at = None
        customer.save(update_fields=["refresh_wanted_at"])
        return None
    hints = list(_pending(customer).values_list("pk", flat=True))  # those that this fetch answers
    now = timezone.now()
    sessions = {one.stripe_id: one for one in customer.checkouts.filter(state="open")}
    state = _fetched(customer.stripe_id, list(sessions), stripe)
    if state.email and state.email != customer.user.email:
        stripe.change_email(customer.stripe_id, customer.user.email)
    given = entitlement(state, now)
    returned = _give_back(customer, state, stripe)
    owes = _note_surplus(customer, given)
    change = _write_tier(customer, given, now)
    for session in state.sessions:
        _end_checkout(sessions[session.id], session, now)
    if given.tier == Tier.PRO:
        if state.has_paid:
            referrals.note_payment(customer, state, now)
        referrals.settle(customer, stripe, now)
    letters.write(customer, given, change, returned)
    _remember(customer, state, given, now, again=owes)
    WebhookEvent.objects.filter(pk__in=hints).update(
        state=WebhookEvent.State.DONE,
        processed_at=now,
        attempts=F("attempts") + 1,
        outcome=f"{given.tier}: {given.reason}"[:300],
    )
    return Refreshed(given, change is not None, owes)


def _fetched(stripe_id: str, session_ids: list[str], stripe: StripeApi) -> CustomerState:
    try:
        return stripe.fetch(stripe_id, session_ids)
    except StripeMissing:
        # Deleted at Stripe, or of another account: nothing is paid by it.  Any other refusal, of
        # a revoked key for one, says nothing about the customer.
        logger.exception("Stripe does not know %s", stripe_id)
        return CustomerState(
            id=stripe_id,
            sessions=tuple(SessionState(one, "expired", "unpaid") for one in session_ids),
            is_gone=True,
        )


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


def _note_surplus(customer: Customer, given: Entitlement) -> bool:
    """Notes which subscriptions are second ones; whether any is new.

    What is done about them comes in a transaction after this one's: killed at any point of it,
    the next refresh still knows that they were ours to give back, and says so to the customer.
    """
    kept = given.subscription
    if kept is None:
        return False
    noted = [
        Repayment.objects.get_or_create(
            subscription_id=one.id,
            defaults={
                "customer": customer,
                "refunded_cents": one.paid_cents,
                "reason": f"A second subscription beside {kept.id}.",
            },
        )
        for one in given.surplus
    ]
    return any(created for _, created in noted)


def _give_back(
    customer: Customer, state: CustomerState, stripe: StripeApi
) -> list[SubscriptionState]:
    """Refunds and cancels the second subscriptions that were noted; those that are given back.

    In this order: killed between the two, the next refresh still finds it and goes on.
    """
    noted = set(customer.repayments.values_list("subscription_id", flat=True))
    return [one for one in state.subscriptions if one.id in noted and _given_back(one, stripe)]


def _given_back(subscription: SubscriptionState, stripe: StripeApi) -> bool:
    refunded = True
    if subscription.paid_cents > subscription.refunded_cents:
        intents = [intent for one in subscription.invoices for intent in one.payment_intents]
        try:
            for intent in intents:
                stripe.refund(intent, idempotency_key=f"scalix-second-{intent}")
        except StripeRefused:  # one that is disputed, for example
            logger.exception("%s can't be refunded: somebody has to look", subscription.id)
            refunded = False
    if subscription.status not in _OVER:
        stripe.cancel_now(subscription.id, idempotency_key=f"scalix-second-{subscription.id}")
    return refunded


def _end_checkout(checkout: Checkout, session: SessionState, now: dt.datetime) -> None:
    if session.status == Checkout.State.OPEN:
        return
    checkout.state, checkout.ended_at = session.status, now
    checkout.subscription_id = session.subscription_id
    checkout.save(update_fields=["state", "ended_at", "subscription_id"])
    if session.status == Checkout.State.COMPLETE:
        referrals.use(checkout, now)
        funnel.note(checkout.customer.user_id, FunnelEvent.Kind.PAID, window=str(checkout.pk))


def _remember(
    customer: Customer, state: CustomerState, given: Entitlement, now: dt.datetime, *, again: bool
) -> None:
    """What pages show of it, that it was fetched, and whether it has to be at once again."""
    paid = given.subscription
    unpaid = [invoice for invoice in paid.invoices if invoice.status == "open"] if paid else []
    customer.fetched_at = now
    customer.refresh_wanted_at, customer.refresh_failures = now if again else None, 0
    customer.subscription_id = paid.id if paid else ""
    customer.status = paid.status if paid else ""
    customer.price_key = paid.price_key if paid else ""
    customer.period_ends_at = paid.period_ends_at if paid else None
    customer.cancels_at = paid.cancels_at if paid else None
    past_due = paid is not None and paid.status == "past_due"
    customer.access_ends_at = given.ends_at if past_due else None
    customer.next_attempt_at = unpaid[0].next_attempt_at if unpaid else None
    customer.amount_due_cents = unpaid[0].due_cents if unpaid else 0
    card = state.card
    customer.card_brand = card.brand if card else ""
    customer.card_last_four = card.last_four if card else ""
    customer.card_fingerprint = card.fingerprint if card else ""
    customer.has_paid = customer.has_paid or state.has_paid
    customer.disputed = given.disputed
    if state.is_gone:
        customer.stripe_id = None  # the next checkout makes another one
    customer.save()


def _postpone(customer_pk: uuid.UUID, reason: str) -> None:
    """Notes when to try again, sooner at first."""
    with transaction.atomic():
        customer = Customer.objects.select_for_update(no_key=True).get(pk=customer_pk)
        wait = _BACK_OFF[min(customer.refresh_failures, len(_BACK_OFF) - 1)]
        again = timezone.now() + dt.timedelta(seconds=wait)
        customer.refresh_failures += 1
        customer.refresh_wanted_at = again
        customer.save(update_fields=["refresh_failures", "refresh_wanted_at"])
        _pending(customer).update(
            attempts=F("attempts") + 1, next_attempt_at=again, outcome=reason[:300]
        )
