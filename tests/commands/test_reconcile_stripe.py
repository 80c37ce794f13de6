"""`manage.py reconcile_stripe`: what was lost is found and acted on, once."""

import datetime as dt
import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from pytest_django import Settings

from billing.models import Subscription
from billing.payments import checkout
from billing.payments.catalogue import MONTHLY
from billing.payments.models import Checkout, OutgoingMail, ReconcilerRun, TierChange
from billing.payments.stripe_api import web_api
from tests.billing.shop import Shop
from tests.conftest import Person
from tests.stripe_sandbox import NOBODY, StripeSandbox


def found() -> dict[str, Any]:
    said = StringIO()
    call_command("reconcile_stripe", "--json", stdout=said)
    numbers: dict[str, Any] = json.loads(said.getvalue())
    return numbers


def test_a_payment_of_which_nothing_arrived_is_found_once(sandbox: StripeSandbox) -> None:
    shop = Shop(sandbox)
    found()
    customer = shop.customer()
    shop.buy(customer)
    assert Subscription.objects.tier_of(customer.user_id) == "free"

    first, second = found(), found()

    assert first["lost_events"] > 0
    assert first["differing"] == 1
    assert (second["lost_events"], second["differing"]) == (0, 0)
    assert Subscription.objects.tier_of(customer.user_id) == "pro"
    assert TierChange.objects.filter(user=customer.user_id).count() == 1
    assert OutgoingMail.objects.filter(user=customer.user_id, kind="upgraded").count() == 1


def test_it_says_what_it_found(sandbox: StripeSandbox) -> None:
    found()
    said = StringIO()
    call_command("reconcile_stripe", stdout=said)
    assert said.getvalue().startswith("Lost events: 0. Customers that differed: 0.")


def test_a_session_that_nobody_paid_is_found_to_have_expired(
    sandbox: StripeSandbox, bob: Person
) -> None:
    """Without the webhook that says so: the customer could begin no other one."""
    checkout.begin(bob.user, MONTHLY.key, None, web_api())
    found()
    assert Checkout.objects.get().state == "open"
    sandbox.control("clock", advance=32 * 60)
    Checkout.objects.update(expires_at=timezone.now() - dt.timedelta(minutes=1))

    found()

    assert Checkout.objects.get().state == "expired"
    assert Subscription.objects.tier_of(bob.user.pk) == "free"
    assert not TierChange.objects.exists()


def test_a_stripe_that_is_away_is_an_error_and_the_next_run_looks_as_far_back(
    sandbox: StripeSandbox, settings: Settings
) -> None:
    found()
    seen_until = ReconcilerRun.objects.get().seen_until
    settings.STRIPE_API_BASE = NOBODY.rstrip("/")
    with pytest.raises(CommandError, match="Nothing is lost"):
        found()
    assert ReconcilerRun.objects.get().seen_until == seen_until


def test_without_a_key_there_is_nothing_to_compare_with(settings: Settings, db: None) -> None:
    settings.PAYMENTS = False
    with pytest.raises(CommandError, match="STRIPE_SECRET_KEY"):
        found()
