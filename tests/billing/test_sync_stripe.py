"""`manage.py sync_stripe`: Stripe comes in line with the catalogue, once."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from billing.payments.catalogue import ANNUAL, MONTHLY
from billing.payments.models import SyncedObject
from billing.payments.stripe_api import worker_api
from billing.payments.sync import Synced, sync
from tests.stripe_sandbox import StripeSandbox


@pytest.fixture
def empty(tmp_path, db: None, settings: Settings):  # type: ignore[no-untyped-def]
    """A Stripe in which nothing is for sale."""
    with StripeSandbox(tmp_path) as sandbox:
        settings.STRIPE_API_BASE = sandbox.base
        yield sandbox


def actions(done: list[Synced]) -> set[str]:
    return {one.action for one in done}


def test_everything_is_created_once_and_matched_from_then_on(empty: StripeSandbox) -> None:
    first, second = sync(worker_api()), sync(worker_api())

    assert actions(first) == {"created"}
    assert actions(second) == {"matched"}
    assert [(one.key, one.stripe_id) for one in second] == [
        (one.key, one.stripe_id) for one in first
    ]
    kept = dict(SyncedObject.objects.filter(mode="sandbox").values_list("key", "stripe_id"))
    assert kept == {one.key: one.stripe_id for one in second}


def test_what_is_sold_is_what_the_catalogue_says(empty: StripeSandbox) -> None:
    sync(worker_api())

    for price, cents, interval in ((MONTHLY, 2999, "month"), (ANNUAL, 28790, "year")):
        found = worker_api().price_with_lookup_key(price.key)
        assert found is not None
        assert (found["unit_amount"], found["currency"]) == (cents, "usd")
        assert found["recurring"]["interval"] == interval


def test_a_dry_run_writes_nothing_anywhere(empty: StripeSandbox) -> None:
    said = StringIO()
    call_command("sync_stripe", "--dry-run", stdout=said)

    assert "scalix_pro_monthly: would be created" in said.getvalue()
    assert not SyncedObject.objects.exists()
    assert worker_api().price_with_lookup_key(MONTHLY.key) is None
    assert worker_api().product("scalix_pro") is None


def test_a_price_that_was_changed_by_hand_is_replaced_and_its_key_moves(
    empty: StripeSandbox,
) -> None:
    stripe = worker_api()
    sync(stripe)
    wrong = stripe.create_price(
        product_id="scalix_pro",
        lookup_key=MONTHLY.key,
        cents=1,
        currency="usd",
        interval="month",
    )

    done = {one.key: one for one in sync(stripe)}

    assert done[MONTHLY.key].action == "created"
    assert done[MONTHLY.key].stripe_id != wrong
    found = stripe.price_with_lookup_key(MONTHLY.key)
    assert found is not None
    assert (found["id"], found["unit_amount"]) == (done[MONTHLY.key].stripe_id, 2999)


def test_it_says_what_it_did_as_json(empty: StripeSandbox) -> None:
    said = StringIO()
    call_command("sync_stripe", "--json", stdout=said)

    assert {"key": "scalix_pro", "action": "created", "stripe_id": "scalix_pro"} in json.loads(
        said.getvalue()
    )


def test_it_says_when_stripe_is_away_and_keeps_what_was_done(
    empty: StripeSandbox, settings: Settings
) -> None:
    settings.STRIPE_API_BASE = "http://127.0.0.1:9"

    with pytest.raises(CommandError, match="Nothing is lost; run it again"):
        call_command("sync_stripe")
    assert not SyncedObject.objects.exists()


def test_it_says_when_there_is_no_stripe(db: None, settings: Settings) -> None:
    settings.PAYMENTS = False

    with pytest.raises(CommandError, match="STRIPE_SECRET_KEY is not set"):
        call_command("sync_stripe")
