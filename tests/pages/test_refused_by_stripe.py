"""A key that Stripe refuses: the upgrade's button says so, with a page and not an error."""

from django.test import AsyncClient
from pytest_django import Settings

from billing.payments.models import Checkout
from tests.pages.reading import words
from tests.stripe_sandbox import StripeSandbox


async def test_the_upgrade_s_button_says_so_where_the_key_was_revoked(
    sandbox: StripeSandbox, as_bob: AsyncClient, settings: Settings
) -> None:
    settings.STRIPE_SECRET_KEY = "sk_test_revoked"

    page = await as_bob.post("/billing/checkout/", {"price": "scalix_pro_monthly"})

    assert page.status_code == 503
    assert "Nothing was charged; try again in a minute." in words(page)
    assert not await Checkout.objects.aexists()
