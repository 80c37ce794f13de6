"""A Stripe that takes calls and never answers: the buttons say so before anybody gives up."""

from collections.abc import Iterator

import pytest
from django.test import AsyncClient
from pytest_django import Settings

from billing.payments.models import Checkout, Customer, FunnelEvent
from tests.conftest import Person
from tests.faults.stripe_gate import StripeGate
from tests.pages.reading import words
from tests.stripe_sandbox import StripeSandbox


@pytest.fixture
def gate(sandbox: StripeSandbox, settings: Settings) -> Iterator[StripeGate]:
    """The Stripe that the product is configured with: it hangs."""
    with StripeGate(sandbox.base) as gate:
        settings.STRIPE_API_BASE = gate.base
        gate.hangs = True
        yield gate


@pytest.mark.parametrize(
    ("address", "form"),
    [("/billing/checkout/", {"price": "scalix_pro_monthly"}), ("/billing/portal/", {})],
)
async def test_a_button_waits_for_one_call_and_says_so(
    address: str, form: dict[str, str], gate: StripeGate, as_bob: AsyncClient, bob: Person
) -> None:
    await Customer.objects.acreate(user=bob.user, mode="sandbox", stripe_id="cus_1")
    page = await as_bob.post(address, form)

    assert page.status_code == 503
    assert "Our payment provider does not answer just now." in words(page)
    assert len(gate.calls) == 1
    assert not await Checkout.objects.aexists()
    assert not await FunnelEvent.objects.filter(kind="checkout").aexists()
