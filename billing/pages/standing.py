"""How a user's payments stand, in words and moments for pages: from what was fetched last."""

import datetime as dt
from dataclasses import dataclass

from django.utils import timezone

from accounts.models import User
from billing.models import Subscription
from billing.payments.catalogue import PRICES, PlanPrice
from billing.payments.checkout import customer_of
from billing.payments.models import Customer
from billing.payments.states import CHARGING, OWING
from billing.tiers import Tier


@dataclass(frozen=True, slots=True)
class Standing:
    """What a user has, and what becomes of it."""

    tier: str
    customer: Customer | None
    price: PlanPrice | None
    """What they pay; None: nothing."""

    @property
    def title(self) -> str:
        """The plan's name."""
        return str(Tier(self.tier).label)

    @property
    def is_pro(self) -> bool:
        """Whether they are on the plan that is paid for, by whatever means."""
        return self.tier == Tier.PRO

    @property
    def past_due(self) -> bool:
        """Whether a renewal could not be charged and pro goes on for now."""
        return self.customer is not None and self.customer.status == "past_due"

    @property
    def access_ends_at(self) -> dt.datetime | None:
        """When the grace of an unpaid renewal is over; None: there is none."""
        return self.customer.access_ends_at if self.customer is not None else None

    @property
    def price_cents(self) -> int:
        """What they pay for a period, which may be another sum than the price that is sold now."""
        return self.customer.price_cents if self.customer is not None else 0

    @property
    def owes(self) -> bool:
        """Whether an invoice has to be paid before anything goes on."""
        return self.customer is not None and self.customer.status in OWING

    @property
    def ends_at(self) -> dt.datetime | None:
        """When pro ends by itself; None: it renews, or there is none."""
        if self.customer is None or not self.is_pro or self.price is None:
            return None
        return self.customer.cancels_at

    @property
    def renews_at(self) -> dt.datetime | None:
        """When the next payment is taken; None: none is."""
        if self.customer is None or self.price is None or self.ends_at or self.owes:
            return None
        renews_at = self.customer.period_ends_at
        return renews_at if renews_at and renews_at > timezone.now() else None

    @property
    def can_manage(self) -> bool:
        """Whether Stripe knows them, so that there is a portal to open."""
        return self.customer is not None and bool(self.customer.stripe_id)


def standing_of(user: User) -> Standing:
    """The user's standing now."""
    customer = customer_of(user)
    paying = customer is not None and customer.status in CHARGING
    price = PRICES.get(customer.price_key) if customer and paying else None
    return Standing(Subscription.objects.tier_of(user.pk), customer, price)
