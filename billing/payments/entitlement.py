"""What a customer's payments give them: one pure function from Stripe's state and the clock.

| status at Stripe | gives | until |
| --- | --- | --- |
| active, trialing | pro | it renews: the period's end and a grace; it is cancelled: that moment |
| past_due | pro | the oldest unpaid invoice and a grace of GRACE |
| unpaid, canceled, incomplete, incomplete_expired, paused | free | |
| any, its period refunded in full | free | |
| any, a payment of it lost in a dispute, of this period or another | free | |

The ends act by the clock: the tier is looked up with `ends_at > now()`, so no webhook and no job
has to arrive for one to take effect.
"""

import datetime as dt
from dataclasses import dataclass, replace
from typing import Final

from billing.payments.catalogue import PRICES
from billing.payments.states import (
    CHARGING,
    DECIDED,
    ENTITLING,
    OPEN,
    PAYING,
    CustomerState,
    SubscriptionState,
)
from billing.tiers import Tier

GRACE: Final = dt.timedelta(days=14)
"""How long a renewal may stay unpaid.  Stripe's own retries take two weeks by default."""

_REFUNDED: Final = "refunded"
_LOST: Final = "dispute lost"


@dataclass(frozen=True, slots=True)
class Entitlement:
    """What a customer may use now, until when, and why."""

    tier: str
    reason: str
    ends_at: dt.datetime | None = None
    """From then on free, whatever else is heard or not; None for the free tier."""
    subscription: SubscriptionState | None = None
    """The one that it rests on or, on the free tier, that came nearest."""
    surplus: tuple[SubscriptionState, ...] = ()
    """Second subscriptions, paid beside it: to be refunded and cancelled."""
    void: tuple[SubscriptionState, ...] = ()
    """Those whose payment was taken back: to be cancelled, or they would charge the next period."""
    disputed: bool = False
    """Whether a dispute about any of their payments is open: somebody should look."""


def entitlement(state: CustomerState, now: dt.datetime) -> Entitlement:
    """The entitlement at `now`, from everything that Stripe has of the customer."""
    ours = [one for one in state.subscriptions if one.price_key in PRICES]
    judged = sorted((_judge(one, now) for one in ours), key=_precedence)
    if not judged:
        return Entitlement(Tier.FREE.value, "no subscription")
    best = replace(judged[0], disputed=any(one.disputed for one in judged))
    void = tuple(
        one.subscription
        for one in judged
        if one.reason in (_REFUNDED, _LOST) and one.subscription is not None
    )
    if best.tier == Tier.FREE or best.subscription is None:
        return replace(best, void=void)
    kept = best.subscription.id
    gone = {kept, *(one.id for one in void)}
    surplus = tuple(one for one in ours if one.id not in gone and one.status in CHARGING)
    return replace(best, surplus=surplus, void=void)


def _precedence(one: Entitlement) -> tuple[bool, bool, float, str]:
    """What gives pro first, what is paid before what is owed, then the oldest.

    The oldest: two sessions that are paid at once leave the same one in any order of events.  Of
    those that give nothing the one that goes on, then the newest: a debt is not hidden behind
    what ended before it.
    """
    assert one.subscription is not None
    subscription = one.subscription
    age = subscription.created_at.timestamp()
    if one.tier == Tier.PRO:
        return False, subscription.status not in PAYING, age, subscription.id
    return True, subscription.status not in OPEN, -age, subscription.id


def _judge(subscription: SubscriptionState, now: dt.datetime) -> Entitlement:
    """What this subscription gives by itself."""
    disputed = bool(subscription.disputes.difference(DECIDED))

    def free(reason: str) -> Entitlement:
        return Entitlement(Tier.FREE.value, reason, None, subscription, disputed=disputed)

    if subscription.status in OPEN and subscription.is_lost:
        return free(_LOST)
    if subscription.status not in ENTITLING:
        return free(subscription.status)
    if subscription.is_refunded:
        return free(_REFUNDED)
    ends_at, reason = _end(subscription)
    if ends_at <= now:
        return free(f"{reason}: over")
    return Entitlement(Tier.PRO.value, reason, ends_at, subscription, disputed=disputed)


def _end(subscription: SubscriptionState) -> tuple[dt.datetime, str]:
    if subscription.status == "past_due":
        # Stripe moves the period on when a renewal falls due, whether it is paid or not.  An
        # invoice in the midst of it, of a change of plan, has a grace of its own.
        unpaid = [one.created_at for one in subscription.invoices if one.status == "open"]
        ends_at, reason = min(unpaid, default=subscription.period_starts_at) + GRACE, "past due"
    elif subscription.cancels_at is not None:
        ends_at, reason = subscription.cancels_at, "cancelled to its end"
    else:
        # The renewal moves this on.  The grace is for one that we can't hear of.
        ends_at, reason = subscription.period_ends_at + GRACE, subscription.status
    if subscription.cancels_at is not None:
        ends_at = min(ends_at, subscription.cancels_at)
    return ends_at, reason
