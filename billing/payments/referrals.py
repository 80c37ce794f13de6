"""Users who bring users: both gain when the one who was brought pays for the first time."""

import datetime as dt

from billing.payments.models import Checkout, Customer
from billing.payments.states import CustomerState
from billing.payments.stripe_api import StripeApi


def note_payment(customer: Customer, state: CustomerState, now: dt.datetime) -> None:
    """The customer has paid: whoever brought them has earned their part, unless it is void."""


def settle(customer: Customer, stripe: StripeApi, now: dt.datetime) -> None:
    """Credits the customer, who is on pro, for the users that they brought."""


def use(checkout: Checkout, now: dt.datetime) -> None:
    """A Checkout is paid: a referral that it took its discount from is used up."""
