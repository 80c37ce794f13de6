"""What is done at Stripe because of a tier that was just written, each job by itself.

A job that Stripe refuses is logged and tried again later; it takes nothing back of the tier, the
mails and the events that are committed by then.  Each can be repeated: killed between any two
lines, the next refresh finds it owed still.
"""

import logging
from collections.abc import Callable, Iterator
from functools import partial

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from billing import mails
from billing.payments import referrals
from billing.payments.entitlement import Entitlement
from billing.payments.models import Customer, Repayment
from billing.payments.states import OVER, CustomerState, SubscriptionState
from billing.payments.stripe_api import StripeApi, StripeFailed, StripeRefused
from billing.tiers import Tier

logger = logging.getLogger(__name__)


def is_owed(customer: Customer, state: CustomerState, given: Entitlement) -> bool:
    """Whether anything has to be done."""
    return next(_jobs(customer, state, given), None) is not None


def act(customer: Customer, state: CustomerState, given: Entitlement, stripe: StripeApi) -> bool:
    """Does it all; False where Stripe refused some of it.  Raises StripeAway."""
    done = True
    for job in _jobs(customer, state, given):
        try:
            job(stripe)
        except StripeRefused:
            logger.exception("%s: Stripe refused what is owed; somebody has to look", customer)
            done = False
    return done


def _jobs(
    customer: Customer, state: CustomerState, given: Entitlement
) -> Iterator[Callable[[StripeApi], None]]:
    if state.is_gone:
        return
    found = {one.id: one for one in state.subscriptions}
    for repayment in customer.repayments.filter(done_at=None):
        if second := found.get(repayment.subscription_id):
            yield partial(_give_back, customer, repayment, second)
    for void in given.void:
        if void.status not in OVER:
            yield partial(_cancel, void)
    if state.email and state.email != customer.user.email:
        yield lambda stripe: stripe.change_email(state.id, customer.user.email)
    if given.tier == Tier.PRO:
        for referral in referrals.earned_by(customer):
            yield partial(referrals.credit, referral, customer)


def _give_back(
    customer: Customer, repayment: Repayment, second: SubscriptionState, stripe: StripeApi
) -> None:
    """Refunds and cancels a second subscription, in this order: the next refresh can go on.

    Only its current period is given back: what went before was used.
    """
    refused: StripeRefused | None = None
    paid = second.own_invoices if repayment.owes_refund else ()
    cents = sum(one.paid_cents for one in paid)
    if cents > sum(one.refunded_cents for one in paid):
        try:
            for intent in (intent for one in paid for intent in one.payment_intents):
                key = f"scalix-second-{intent}-{repayment.key_attempt}"
                stripe.refund(intent, idempotency_key=key)
        except StripeFailed:
            Repayment.objects.filter(pk=repayment.pk).update(key_attempt=F("key_attempt") + 1)
            raise
        except StripeRefused as error:  # one that is disputed, for example
            refused = error
    if second.status not in OVER:
        stripe.cancel_now(second.id, idempotency_key=f"scalix-second-{second.id}")
    if refused is not None:
        raise refused  # cancelled, so that it charges no more; the refund stays owed
    with transaction.atomic():
        repayment.refunded_cents, repayment.done_at = cents, timezone.now()
        repayment.save(update_fields=["refunded_cents", "done_at"])
        if cents:
            mails.owe(customer.user, "second_refunded", key=f"second:{second.id}", cents=cents)


def _cancel(void: SubscriptionState, stripe: StripeApi) -> None:
    """Ends a subscription whose payment was taken back."""
    stripe.cancel_now(void.id, idempotency_key=f"scalix-void-{void.id}")
