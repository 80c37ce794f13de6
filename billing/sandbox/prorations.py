"""What changing a plan costs.  Pure: a subscription, a price and a moment in, cents out."""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from billing.sandbox.clock import after
from billing.sandbox.shapes import Line
from billing.sandbox.store import Object


@dataclass(frozen=True)
class Change:
    """A change of plan."""

    lines: tuple[Line, ...]
    """What is given back for the old price's rest, and what the new one costs."""
    begins: int
    """The period that it leads to: the old one, or one that begins now."""
    ends: int
    resets: bool
    """Whether a period begins now, and with it a new date to pay on."""

    @property
    def cents(self) -> int:
        """Both together; negative where more is given back."""
        return sum(line.cents for line in self.lines)


def change(subscription: Object, price: Object, now: int) -> Change:
    """From the subscription's price to another.

    Between prices that are paid equally often the period stays, and both count for its rest.
    Otherwise a whole period of the new one begins now, as at Stripe.  What is given back is a
    part of what was paid, after discounts.
    """
    item = subscription["items"]["data"][0]
    begins, ends = item["current_period_start"], item["current_period_end"]
    rest = Decimal(min(max(0, ends - now), ends - begins)) / (ends - begins)
    back = Line(
        f"Unused time on the {_name(item['price'])}",
        -_part(subscription["_period_cents"], rest),
        proration=True,
    )
    old, new = item["price"]["recurring"], price["recurring"]
    every = (new["interval"], new["interval_count"])
    if (old["interval"], old["interval_count"]) == every:
        cost = Line(
            f"Remaining time on the {_name(price)}", _part(price["unit_amount"], rest), 0, True
        )
        return Change((back, cost), begins, ends, resets=False)
    cost = Line(f"The {_name(price)}", price["unit_amount"])
    return Change((back, cost), now, after(now, *every), resets=True)


def _part(cents: int, share: Decimal) -> int:
    return int((cents * share).quantize(Decimal(1), ROUND_HALF_UP))


def _name(price: Object) -> str:
    interval = price["recurring"]["interval"]
    return {"month": "monthly plan", "year": "annual plan"}.get(interval, f"plan per {interval}")
