"""Users who bring users: both gain when the one who was brought pays for the first time.

A code makes a referral at sign-up and never later.  It does not count where both are plainly the
same person: the same mailbox, the same browser or, once it is known, the same card.
"""

import datetime as dt
import secrets
import uuid
from typing import Final

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from accounts.models import User, Visitor
from billing import mails
from billing.payments.catalogue import REFERRAL
from billing.payments.models import Checkout, Customer, Referral, ReferralCode
from billing.payments.offers import Offer, ReferralClaim
from billing.payments.states import CardState, CustomerState
from billing.payments.stripe_api import StripeApi, StripeFailed

GOOD_FOR: Final = dt.timedelta(days=30)
"""How long the one who was brought has the discount."""

CREDIT_CENTS: Final = 600
"""What a referrer who pays already gets off the next invoice: 20 % of a month."""

_ALPHABET: Final = "abcdefghjkmnpqrstuvwxyz23456789"  # nothing that reads like something else
_LENGTH: Final = 10
_SAME_CARD: Final = "both pay with the same card"
_TAKEN_BACK: Final = "the payment that earned it was taken back"
_IGNORES_DOTS: Final = ("gmail.com", "googlemail.com")


def code_of(user: User) -> str:
    """The user's own code, made when it is first asked for."""
    made = "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
    return ReferralCode.objects.get_or_create(user=user, defaults={"code": made})[0].code


def is_code(code: str) -> bool:
    """Whether it is somebody's."""
    return ReferralCode.objects.filter(code=code, user__is_active=True).exists()


def record(code: str, referred: User, visitor_id: uuid.UUID | None) -> Referral | None:
    """A user has just signed up with this code; None where it is nobody's.

    `visitor_id`: whom their browser was known as before.
    """
    found = ReferralCode.objects.select_related("user").filter(code=code).first()
    if found is None or found.user_id == referred.pk:
        return None
    reason = _same_person(found.user, referred, visitor_id)
    now = timezone.now()
    referral, _ = Referral.objects.get_or_create(
        referred=referred,
        defaults={
            "referrer": found.user,
            "state": Referral.State.VOID if reason else Referral.State.WAITING,
            "reason": reason,
            "created_at": now,
            "expires_at": now + GOOD_FOR,
        },
    )
    return referral


def claim_of(user: User, now: dt.datetime) -> ReferralClaim | None:
    """What gives the user the referral discount on a first payment now; None: nothing does."""
    referral = _claimed(user, now)
    if referral is None:
        return None
    return ReferralClaim(referral.expires_at if referral.referred_id == user.pk else None)


def referral_of(user: User, offer: Offer) -> Referral | None:
    """The referral that an offer's discount comes from; None where it has none."""
    return _claimed(user, timezone.now()) if REFERRAL in offer.discounts else None


def use(checkout: Checkout, card: CardState | None, now: dt.datetime) -> None:
    """A Checkout is paid with this card: its buyer has had their part of the referral it names.

    The part of one who was brought is noted by `note_payment`.
    """
    if checkout.referral_id is None:
        return
    earned = Referral.objects.filter(
        pk=checkout.referral_id,
        referrer_id=checkout.customer.user_id,
        state=Referral.State.EARNED,
    )
    referral = earned.select_for_update(no_key=True).first()
    if referral is None:
        return
    if card is not None and _pays_with(referral.referred_id, card.fingerprint):
        # The discount is had: the referrer's card was not known before they paid with it.
        earned.update(state=Referral.State.VOID, reason=_SAME_CARD)
    else:
        earned.update(state=Referral.State.REWARDED, rewarded_at=now)


def note_payment(
    customer: Customer, state: CustomerState, paid_at: dt.datetime, now: dt.datetime
) -> None:
    """The customer has paid: whoever brought them has earned their part, unless it is void.

    `paid_at`: when the subscription began; that may be heard of later.
    """
    referral = (
        Referral.objects.select_for_update(no_key=True)
        .filter(referred_id=customer.user_id, state=Referral.State.WAITING)
        .first()
    )
    if referral is None:
        return
    referral.paid_at = paid_at
    if referral.expires_at <= paid_at:
        referral.state, referral.reason = Referral.State.VOID, "paid after it had expired"
    elif state.card is not None and _pays_with(referral.referrer_id, state.card.fingerprint):
        referral.state, referral.reason = Referral.State.VOID, _SAME_CARD
    else:
        referral.state = Referral.State.EARNED
    referral.save(update_fields=["state", "reason", "paid_at"])
    if referral.state == Referral.State.EARNED:
        # Waits for the referrer's lock while it holds this customer's.  That can't go round in a
        # circle: who brings another has always signed up before them.
        Customer.objects.filter(user=referral.referrer_id, mode=customer.mode).update(
            refresh_wanted_at=now
        )


def note_loss(customer: Customer, state: CustomerState) -> None:
    """The customer is on no pro: what they earned their referrer is void if all was taken back."""
    paid = [one for one in state.subscriptions if one.paid_cents or one.is_lost]
    if paid and all(one.is_refunded or one.is_lost for one in paid):
        Referral.objects.filter(referred=customer.user_id, state=Referral.State.EARNED).update(
            state=Referral.State.VOID, reason=_TAKEN_BACK
        )


def earned_by(customer: Customer) -> list[Referral]:
    """What a customer on pro is to be credited for: nothing that an open Checkout takes off."""
    earned = Referral.objects.filter(referrer=customer.user_id, state=Referral.State.EARNED)
    return list(earned.exclude(checkout__state=Checkout.State.OPEN).order_by("pk"))


def credit(referral: Referral, customer: Customer, stripe: StripeApi) -> None:
    """Takes CREDIT_CENTS off the referrer's next invoice, once, however often it is tried."""
    try:
        _credit(referral, customer, stripe)
    except StripeFailed:
        Referral.objects.filter(pk=referral.pk).update(key_attempt=F("key_attempt") + 1)
        raise


def _credit(referral: Referral, customer: Customer, stripe: StripeApi) -> None:
    with transaction.atomic():
        referral = Referral.objects.select_for_update(no_key=True).get(pk=referral.pk)
        if referral.state != Referral.State.EARNED:
            return
        if _pays_with(referral.referred_id, customer.card_fingerprint):
            referral.state, referral.reason = Referral.State.VOID, _SAME_CARD
            referral.save(update_fields=["state", "reason"])
            return
        stripe.credit(
            customer.stripe_id or "",
            cents=CREDIT_CENTS,
            note="For recommending Scalix",
            reference=f"referral-{referral.pk}",
            idempotency_key=f"scalix-referral-{referral.pk}-{referral.key_attempt}",
        )
        referral.state, referral.rewarded_at = Referral.State.REWARDED, timezone.now()
        referral.credit_cents = CREDIT_CENTS
        referral.save(update_fields=["state", "rewarded_at", "credit_cents"])
        mails.owe(
            customer.user,
            "referral_rewarded",
            key=f"referral_rewarded:{referral.pk}",
            cents=CREDIT_CENTS,
        )


def void(referral: Referral, reason: str) -> bool:
    """Takes back what has not been paid out; whether there was anything to take back."""
    with transaction.atomic():
        return bool(
            Referral.objects.filter(
                pk=referral.pk, state__in=(Referral.State.WAITING, Referral.State.EARNED)
            ).update(state=Referral.State.VOID, reason=reason[:200])
        )


def _claimed(user: User, now: dt.datetime) -> Referral | None:
    """As the one who was brought, or else the oldest that they have earned."""
    brought = Referral.objects.filter(
        referred=user, state=Referral.State.WAITING, expires_at__gt=now
    ).first()
    if brought is not None:
        return brought
    return (
        Referral.objects.filter(referrer=user, state=Referral.State.EARNED).order_by("pk").first()
    )


def _same_person(referrer: User, referred: User, visitor_id: uuid.UUID | None) -> str:
    """Why both are one person; empty where nothing says so."""
    if mailbox(referrer.email) == mailbox(referred.email):
        return "the same mailbox as the referrer's"
    if visitor_id and Visitor.objects.filter(pk=visitor_id, became=referrer).exists():
        return "the same browser as the referrer's"
    return ""


def mailbox(email: str) -> str:
    """Where mail to an address ends up: without its case, its `+tag`, and dots that don't count."""
    name, _, domain = email.lower().rpartition("@")
    name = name.partition("+")[0]
    if domain in _IGNORES_DOTS:
        name, domain = name.replace(".", ""), _IGNORES_DOTS[0]
    return f"{name}@{domain}"


def _pays_with(user_id: uuid.UUID, fingerprint: str) -> bool:
    """Whether the user's last card is this one."""
    return (
        bool(fingerprint)
        and Customer.objects.filter(user_id=user_id, card_fingerprint=fingerprint).exists()
    )
