"""What the first payment is: one pure function, in cents.

Stripe's Checkout takes one discount, so what stacks is worked out here, and the session gets one
coupon of a fixed amount: page, session and invoice show the same figure.
"""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from billing.payments.catalogue import (
    DISCOUNTS,
    FIRST_MONTH,
    HEAVY_USE,
    MONTHLY,
    NEAR_LIMIT,
    PRICES,
    REFERRAL,
    Discount,
    PlanPrice,
)


@dataclass(frozen=True, slots=True)
class Usage:
    """How the free plan is used: shares of a limit, of 1."""

    share: float = 0.0
    """Of the limit that is used most, now."""
    requests_left: int | None = None
    """Of the hour or the day, whichever ends first; None: no such limit."""
    heavy_days: int = 0
    """Of the last seven, those with at least 80 % of a day's limit used."""


@dataclass(frozen=True, slots=True)
class History:
    """What went before."""

    has_paid: bool = False
    """Ever, for anything."""
    held: str = ""
    """Key of a discount that they were shown."""
    held_until: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class ReferralClaim:
    """A referral that gives a discount: as the one who was brought, or the one who brought."""

    good_until: dt.datetime | None = None
    """None: for good."""


@dataclass(frozen=True, slots=True)
class OfferLine:
    """A line of the first payment.  Discounts are negative."""

    title: str
    cents: int


@dataclass(frozen=True, slots=True)
class Offer:
    """The first payment, line by line, and what is paid from then on."""

    price: PlanPrice
    lines: tuple[OfferLine, ...]
    discounts: tuple[Discount, ...]
    held_until: dt.datetime | None = None
    """How long a discount that rests on usage stays good."""

    @property
    def total_cents(self) -> int:
        """The first payment."""
        return sum(line.cents for line in self.lines)

    @property
    def off_cents(self) -> int:
        """What the coupon takes off."""
        return self.price.cents - self.total_cents

    @property
    def coupon_key(self) -> str:
        """Our name for the coupon that takes exactly that off; empty: nothing is taken off."""
        if not self.discounts:
            return ""
        keys = (self.price.key, *(discount.key for discount in self.discounts))
        return "-".join((*keys, str(self.off_cents)))

    @property
    def reason(self) -> str:
        """What it is off for; empty: nothing is."""
        return ", ".join(discount.title for discount in self.discounts)


def offer(
    *,
    price: PlanPrice,
    usage: Usage,
    referral: ReferralClaim | None,
    history: History,
    now: dt.datetime,
) -> Offer:
    """The first payment for `price`: the promotion, then the best of the other discounts.

    Each is a share of what the one before left, rounded to the nearest cent, half a cent off the
    price, as Stripe rounds coupons.
    """
    discounts: list[Discount] = []
    if price.key == MONTHLY.key and not history.has_paid:
        discounts.append(FIRST_MONTH)
    best = max(_earned(usage, referral, history, now), key=_percent, default=None)
    if best is not None:
        discounts.append(best)
    held = history.held_until if best is not None and best.key == history.held else None
    return _priced(price, discounts, held)


def discounted_offers() -> list[Offer]:
    """Every offer with a discount that `offer` can make: each needs a coupon of its own."""
    promotions: dict[str, list[list[Discount]]] = {MONTHLY.key: [[], [FIRST_MONTH]]}
    return [
        _priced(price, [*promotion, *best])
        for price in PRICES.values()
        for promotion in promotions.get(price.key, [[]])
        for best in ([], *([one] for one in DISCOUNTS.values()))
        if promotion or best
    ]


def _priced(
    price: PlanPrice, discounts: Sequence[Discount], held_until: dt.datetime | None = None
) -> Offer:
    lines = [OfferLine(f"Scalix Pro, {price.per}", price.cents)]
    left = price.cents
    for discount in discounts:
        off = (left * discount.percent + 50) // 100
        lines.append(OfferLine(f"{discount.title}, {discount.percent} %", -off))
        left -= off
    return Offer(price, tuple(lines), tuple(discounts), held_until)


def _percent(discount: Discount) -> int:
    return discount.percent


def _earned(
    usage: Usage, referral: ReferralClaim | None, history: History, now: dt.datetime
) -> Iterable[Discount]:
    if referral is not None and (referral.good_until is None or referral.good_until > now):
        yield REFERRAL
    if usage.heavy_days >= 3:
        yield HEAVY_USE
    if usage.share >= 0.8 or (usage.requests_left is not None and usage.requests_left <= 5):
        yield NEAR_LIMIT
    if history.held in DISCOUNTS and history.held_until is not None and history.held_until > now:
        yield DISCOUNTS[history.held]
