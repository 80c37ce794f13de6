"""The plans as the landing page offers them: every limit from the table that enforces it."""

from dataclasses import dataclass
from typing import Final

from billing.gates import may_use
from billing.models import Tier
from billing.payments.catalogue import ANNUAL, MONTHLY
from billing.plans import Limits
from billing.templatetags.money import money
from gateway.runtime import Gateway

_PRICES: Final = {
    Tier.VISITOR: ("$0", "", "No account"),
    Tier.FREE: ("$0", "", "With an account"),
    Tier.PRO: (
        money(MONTHLY.cents),
        MONTHLY.per,
        f"Or {money(ANNUAL.cents)} {ANNUAL.per}, 20 % less",
    ),
}


@dataclass(frozen=True, slots=True)
class PlanCard:
    """One plan: title, price, and what it gives, a line each."""

    tier: str
    title: str
    price: str
    per: str
    note: str
    points: tuple[str, ...]


def cards(gateway: Gateway) -> list[PlanCard]:
    """Visitor, free and pro, as the table has them now."""
    return [_card(gateway, tier) for tier in Tier]


def allowance(limits: Limits) -> str:
    """`10 requests an hour and 50 a day`: what a plan gives, inside a sentence."""
    hour, day = limits.requests_per_hour, limits.requests_per_day
    if hour is None and day is None:
        return "as many requests as you like"
    if hour is None or day is None:
        period = "a day" if hour is None else "an hour"
        return f"{hour or day:,} requests {period}"
    return f"{hour:,} requests an hour and {day:,} a day"


def models(gateway: Gateway) -> tuple[str, ...]:
    """How many of the models that can answer now each tier has, lowest tier first."""
    usable = gateway.catalogue.usable()
    counts = [sum(may_use(tier.value, row.entry.tier) for row in usable) for tier in Tier]
    return (*(f"{count:,} free" for count in counts[:-1]), f"all {counts[-1]:,}")


def _card(gateway: Gateway, tier: Tier) -> PlanCard:
    limits = gateway.plans.limits_of(tier.value)
    price, per, note = _PRICES[tier]
    return PlanCard(
        tier.value, limits.title, price, per, note, tuple(_points(gateway, limits, tier))
    )


def _points(gateway: Gateway, limits: Limits, tier: Tier) -> list[str]:
    said = allowance(limits)
    points = [said[0].upper() + said[1:]]
    if limits.tokens_per_day is None:
        points.append("No limit on tokens")
    else:
        points.append(f"{limits.tokens_per_day:,} tokens a day")
    points.append(f"{limits.concurrent_requests} at once")
    usable = gateway.catalogue.usable()
    theirs = sum(may_use(tier.value, row.entry.tier) for row in usable)
    if tier is Tier.PRO:
        points.append("Every model, with its whole context window")
    else:
        points.append(f"{theirs} free model{'' if theirs == 1 else 's'}")
    if tier is not Tier.VISITOR:
        points.append("API tokens and a usage dashboard")
    return points
