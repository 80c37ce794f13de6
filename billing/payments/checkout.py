"""From a wish to upgrade to a page of Stripe's.  Nothing here grants anything.

The browser names a price key and nothing else: amounts and coupons are worked out here.
"""

import datetime as dt
import hashlib
import logging
from dataclasses import dataclass
from typing import Final

from django.conf import settings
from django.db import OperationalError, connection, transaction
from django.db.models import F
from django.urls import reverse
from django.utils import timezone

from accounts.identifiers import uuid7
from accounts.models import User
from billing import funnel
from billing.metering.usage import Usage as Metered
from billing.models import Subscription
from billing.payments import hints, referrals, tasks
from billing.payments.catalogue import ANNUAL, HEAVY_USE, MONTHLY, NEAR_LIMIT, PRICES
from billing.payments.heavy_use import heavy_days
from billing.payments.models import Checkout, Customer, FunnelEvent, HeldOffer, SyncedObject
from billing.payments.offers import History, Offer, ReferralClaim, Usage, offer
from billing.payments.states import OPEN, SessionState
from billing.payments.stripe_api import (
    CreatedSession,
    StripeApi,
    StripeAway,
    StripeError,
    StripeFailed,
    StripeMissing,
    StripeRefused,
)
from billing.tiers import Tier

logger = logging.getLogger(__name__)

PORTAL_KEY: Final = "portal"
"""Our name for the Billing Portal's configuration."""

_HELD_FOR: Final = dt.timedelta(hours=24)
_OPEN_FOR: Final = dt.timedelta(minutes=31)  # Stripe takes 30 at least, by its own clock
_STILL_OPEN: Final = dt.timedelta(minutes=5)  # what is left has to be enough to type in a card


class CheckoutRefused(Exception):
    """It can't begin; the text is for the user."""


class AlreadyPaying(CheckoutRefused):
    """They have a subscription: the billing page and the portal are where they change it."""


class BeingConfirmed(CheckoutRefused):
    """They have paid a moment ago; `session_id` is what the return page follows."""

    def __init__(self, session_id: str) -> None:
        super().__init__("Your payment is being confirmed.")
        self.session_id = session_id


class StripeBusy(CheckoutRefused):
    """Stripe does not answer in time, or something about the customer is under way."""

    def __init__(self) -> None:
        super().__init__(
            "Our payment provider does not answer just now. Nothing was charged; try again in a "
            "minute."
        )


class NotForSale(CheckoutRefused):
    """Payments are not set up: `manage.py sync_stripe` has not been run."""

    def __init__(self) -> None:
        super().__init__("Upgrading is not set up on this installation yet.")


@dataclass(frozen=True, slots=True)
class Offers:
    """What a user is offered now, for both prices."""

    monthly: Offer
    annual: Offer


@dataclass(frozen=True, slots=True)
class _Facts:
    """All that an offer is made of, at one moment."""

    usage: Usage
    claim: ReferralClaim | None
    history: History
    now: dt.datetime

    def offer(self, price_key: str) -> Offer:
        return offer(
            price=PRICES[price_key],
            usage=self.usage,
            referral=self.claim,
            history=self.history,
            now=self.now,
        )


def offers_for(user: User | None, metered: Metered | None) -> Offers:
    """The offers with every discount that the user has now; for nobody, what a new user has.

    `metered`: their usage now; None where it can't be known, and then no discount rests on it.
    What is shown with a discount that rests on usage is held for a day.
    """
    now = timezone.now()
    facts = _Facts(Usage(), None, History(), now) if user is None else _facts_of(user, metered, now)
    return Offers(facts.offer(MONTHLY.key), facts.offer(ANNUAL.key))


def begin(
    user: User,
    price_key: str,
    metered: Metered | None,
    stripe: StripeApi,
    trigger: FunnelEvent.Trigger = FunnelEvent.Trigger.NONE,
) -> str:
    """The address of the user's one open Checkout page for this price.

    Raises CheckoutRefused; KeyError for a price key that is none of ours.
    """
    price = PRICES[price_key]
    _refuse_payers(user)
    try:
        _at_stripe(user, stripe)
        with transaction.atomic():
            _wait_briefly()
            customer = _locked(user)
            _refuse_payers(user)
            wanted = _facts_of(user, metered, timezone.now()).offer(price.key)
            kept = _kept_open(customer, wanted, stripe)
            if kept is not None:
                return kept.url
            checkout = _created(customer, wanted, stripe)
            funnel.note(
                user.pk, FunnelEvent.Kind.CHECKOUT, trigger=trigger, window=str(checkout.pk)
            )
            return checkout.url
    except BeingConfirmed:
        # What was paid is a hint like any other; the return page shows what comes of it.
        ask_for_refresh(user)
        raise
    except StripeAway as error:
        logger.warning("a checkout did not begin: %s", error)
        raise StripeBusy from error
    except StripeRefused as error:
        logger.exception("a checkout did not begin")
        raise StripeBusy from error
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", "") != "55P03":  # lock_not_available
            raise
        raise StripeBusy from error


def portal(user: User, stripe: StripeApi) -> str:
    """The address of the user's Billing Portal.  Raises CheckoutRefused."""
    customer = customer_of(user)
    if customer is None or not customer.stripe_id:
        raise CheckoutRefused("There is nothing to manage: you have never begun an upgrade.")
    configuration = SyncedObject.objects.filter(mode=customer.mode, key=PORTAL_KEY).first()
    try:
        return stripe.portal_url(
            customer_id=customer.stripe_id,
            configuration_id=configuration.stripe_id if configuration else None,
            return_url=settings.PUBLIC_URL + reverse("billing"),
        )
    except StripeError as error:
        logger.warning("the portal did not open: %s", error)
        raise StripeBusy from error


def customer_of(user: User) -> Customer | None:
    """Whom the Stripe that is configured knows the user as."""
    return Customer.objects.filter(user=user, mode=settings.STRIPE_MODE).first()


def ask_for_refresh(user: User) -> None:
    """Has the worker fetch the user's state now; never waits for one who is doing so."""
    ours = Customer.objects.filter(user=user, mode=settings.STRIPE_MODE)
    hints.ask_for_refresh(ours, timezone.now())
    tasks.hurry()


# What an offer is made of -------------------------------------------------------------------


def _facts_of(user: User, metered: Metered | None, now: dt.datetime) -> _Facts:
    customer = customer_of(user)
    has_paid = customer is not None and customer.has_paid
    claim = referrals.claim_of(user, now)
    usage = _usage(user, metered, now)
    held = HeldOffer.objects.filter(user=user, held_until__gt=now).first()
    history = History(has_paid, held.discount if held else "", held.held_until if held else None)
    facts = _Facts(usage, claim, history, now)
    best = facts.offer(ANNUAL.key).discounts  # without the promotion: the best of the others
    if best and best[0] in (HEAVY_USE, NEAR_LIMIT) and best[0].key != history.held:
        until = now + _HELD_FOR
        HeldOffer.objects.update_or_create(
            user=user, defaults={"discount": best[0].key, "held_until": until}
        )
        facts = _Facts(usage, claim, History(has_paid, best[0].key, until), now)
    return facts


def _usage(user: User, metered: Metered | None, now: dt.datetime) -> Usage:
    if metered is None or metered.limits.tier != Tier.FREE:
        return Usage()
    windows = [state for state in metered.windows if state.max]
    return Usage(
        share=max((state.share for state in windows), default=0.0),
        requests_left=metered.binding_requests.remaining,
        heavy_days=heavy_days(user.pk, metered.limits, now),
    )


# The session --------------------------------------------------------------------------------


def _at_stripe(user: User, stripe: StripeApi) -> None:
    """Makes the user a customer at Stripe, once, whatever happens in between.

    Their row is committed before Stripe is asked and is part of the key, which so returns the same
    customer to whoever was killed or timed out before.  Whoever was found deleted gets another one,
    and so does whom Stripe answered that it failed: it says so again for the same key.
    """
    customer, _ = Customer.objects.get_or_create(user=user, mode=settings.STRIPE_MODE)
    if customer.stripe_id:
        return
    try:
        _make_customer(user, stripe)
    except StripeFailed:
        Customer.objects.filter(pk=customer.pk).update(key_attempt=F("key_attempt") + 1)
        raise


def _make_customer(user: User, stripe: StripeApi) -> None:
    with transaction.atomic():
        _wait_briefly()
        customer = _locked(user)
        if not customer.stripe_id:
            found_gone = customer.fetched_at.isoformat() if customer.fetched_at else "new"
            # Stripe takes a key for the same e-mail address only.
            address = hashlib.sha256(user.email.encode()).hexdigest()[:12]
            customer.stripe_id = stripe.create_customer(
                user_id=str(user.pk),
                email=user.email,
                idempotency_key=(
                    f"scalix-user-{customer.pk}-{found_gone}-{address}-{customer.key_attempt}"
                ),
            )
            customer.save(update_fields=["stripe_id"])


def _wait_briefly() -> None:
    """For whoever else acts on this customer: a page must not wait for a worker's slow call."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL lock_timeout = '600ms'")


def _locked(user: User) -> Customer:
    return Customer.objects.select_for_update(no_key=True).get(user=user, mode=settings.STRIPE_MODE)


def _refuse_payers(user: User) -> None:
    customer = customer_of(user)
    if customer is not None and customer.status in OPEN:
        raise AlreadyPaying(
            "You have a subscription already. Your billing page is where you change it."
        )
    if Subscription.objects.tier_of(user.pk) == Tier.PRO:
        raise AlreadyPaying("You are on Pro already.")


def _kept_open(customer: Customer, wanted: Offer, stripe: StripeApi) -> Checkout | None:
    """The open session, if it is for the same price and amount.  Any other one is closed."""
    checkout = customer.checkouts.filter(state=Checkout.State.OPEN).first()
    if checkout is None:
        return None
    try:
        session = stripe.session(checkout.stripe_id)
    except StripeMissing:
        session = SessionState(checkout.stripe_id, "expired", "unpaid")
    if session.status == "complete":
        raise BeingConfirmed(session.id)
    same = (checkout.price_key, checkout.total_cents) == (wanted.price.key, wanted.total_cents)
    long_enough = checkout.expires_at - timezone.now() > _STILL_OPEN
    if session.status == "open" and same and long_enough:
        return checkout
    if session.status == "open":
        _closed(session.id, stripe)
    checkout.state, checkout.ended_at = Checkout.State.EXPIRED, timezone.now()
    checkout.save(update_fields=["state", "ended_at"])
    return None


def _closed(session_id: str, stripe: StripeApi) -> None:
    """Closes a session's page.  Who paid on it at this very moment is told so."""
    try:
        stripe.expire_session(session_id)
    except StripeRefused as error:
        status = stripe.session(session_id).status
        if status == "complete":
            raise BeingConfirmed(session_id) from error
        if status == "open":
            raise


def _created(customer: Customer, wanted: Offer, stripe: StripeApi) -> Checkout:
    keys = [key for key in (wanted.price.key, wanted.coupon_key) if key]
    ids = dict(
        SyncedObject.objects.filter(mode=customer.mode, key__in=keys).values_list(
            "key", "stripe_id"
        )
    )
    if len(ids) != len(keys):
        logger.error("not at Stripe: %s; run manage.py sync_stripe", sorted(set(keys) - set(ids)))
        raise NotForSale
    checkout = Checkout(
        id=uuid7(),
        customer=customer,
        price_key=wanted.price.key,
        lines=[{"title": line.title, "cents": line.cents} for line in wanted.lines],
        total_cents=wanted.total_cents,
        referral=referrals.referral_of(customer.user, wanted),
    )
    session = _session(checkout, ids[wanted.price.key], ids.get(wanted.coupon_key), stripe)
    checkout.stripe_id, checkout.url = session.id, session.url
    checkout.expires_at = session.expires_at
    checkout.save(force_insert=True)
    return checkout


def _session(
    checkout: Checkout, price_id: str, coupon_id: str | None, stripe: StripeApi
) -> CreatedSession:
    back = settings.PUBLIC_URL
    try:
        session = stripe.create_session(
            customer_id=checkout.customer.stripe_id or "",
            user_id=str(checkout.customer.user_id),
            price_id=price_id,
            coupon_id=coupon_id,
            # Not encoded: Stripe puts the id where the braces are.
            success_url=f"{back}{reverse('billing_return')}?session_id={{CHECKOUT_SESSION_ID}}",
            cancel_url=f"{back}{reverse('pricing')}",
            expires_at=timezone.now() + _OPEN_FOR,
            idempotency_key=f"scalix-checkout-{checkout.pk}",
        )
    except StripeRefused as error:
        logger.exception("Stripe refused a Checkout session")
        raise NotForSale from error
    if session.total_cents != checkout.total_cents:
        _closed(session.id, stripe)
        logger.error(
            "Stripe would take %d cents where %d were shown; run manage.py sync_stripe",
            session.total_cents,
            checkout.total_cents,
        )
        raise NotForSale
    return session
