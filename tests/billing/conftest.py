"""Payments' own fixtures: a Stripe in memory, and Bob as one of its customers."""

import pytest

from billing.payments.models import Customer
from scalix.celery import app as _celery  # noqa: F401  (as in the web process)
from tests.billing.fake_stripe import FakeStripe
from tests.conftest import Person


@pytest.fixture
def stripe_double() -> FakeStripe:
    """An account with nobody in it."""
    return FakeStripe()


@pytest.fixture
def customer(bob: Person) -> Customer:
    """Bob, whom Stripe knows as cus_1."""
    return Customer.objects.create(user=bob.user, mode="sandbox", stripe_id="cus_1")
