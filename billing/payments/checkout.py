"""From a wish to upgrade to a page of Stripe's.  Nothing here grants anything.

The browser names a price key and nothing else: amounts and coupons are worked out here.
"""

from dataclasses import dataclass

from accounts.models import User
from billing.payments.offers import Offer
from billing.payments.stripe_api import StripeApi


class CheckoutRefused(Exception):
    """It can't begin; the text is for the user."""


class AlreadyPaying(CheckoutRefused):
    """They have pro already: the portal is where they change it."""


class StripeBusy(CheckoutRefused):
    """Stripe does not answer in time, or something about the customer is under way."""


@dataclass(frozen=True, slots=True)
class Offers:
    """What a user is offered now, for both prices."""

    monthly: Offer
    annual: Offer


def offers_for(user: User | None) -> Offers:
    """The offers with every discount that the user has now; for nobody, what a new user has.

    What is shown with a discount that rests on usage is held for a day (`HeldOffer`).
    """
    raise NotImplementedError


def begin(user: User, price_key: str, stripe: StripeApi) -> str:
    """The address of the user's one open Checkout page for this price.

    Raises CheckoutRefused; KeyError for a price key that is none of ours.
    """
    raise NotImplementedError


def portal(user: User, stripe: StripeApi) -> str:
    """The address of the user's Billing Portal.  Raises CheckoutRefused."""
    raise NotImplementedError
