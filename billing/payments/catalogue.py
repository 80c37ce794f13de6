"""What is for sale: the prices with their lookup keys, and the discounts there are.

`manage.py sync_stripe` brings Stripe in line with this file.  Amounts are US cents.
"""

from dataclasses import dataclass
from typing import Final

PRODUCT_KEY: Final = "scalix_pro"
PRODUCT_NAME: Final = "Scalix Pro"
CURRENCY: Final = "usd"


@dataclass(frozen=True, slots=True)
class PlanPrice:
    """A price of the pro plan.  Its key is its `lookup_key` at Stripe."""

    key: str
    interval: str
    """month or year."""
    cents: int
    per: str
    """For people: `a month`."""


MONTHLY: Final = PlanPrice("scalix_pro_monthly", "month", 2_999, "a month")
ANNUAL: Final = PlanPrice("scalix_pro_annual", "year", 28_790, "a year")  # 12 months less 20 %
PRICES: Final = {price.key: price for price in (MONTHLY, ANNUAL)}


@dataclass(frozen=True, slots=True)
class Discount:
    """A share off the first payment."""

    key: str
    percent: int
    title: str
    """For people: what it is for."""


FIRST_MONTH: Final = Discount("first_month", 50, "First month at half price")
"""The promotion: on the monthly price only, for whoever has never paid."""

REFERRAL: Final = Discount("referral", 20, "Recommended by a friend")
HEAVY_USE: Final = Discount("heavy_use", 15, "For using the free plan a lot")
NEAR_LIMIT: Final = Discount("near_limit", 10, "For coming close to a limit")
DISCOUNTS: Final = {discount.key: discount for discount in (REFERRAL, HEAVY_USE, NEAR_LIMIT)}
"""Of these the best one counts, on top of the promotion."""
