"""What was paid in one mode gives nothing in another: a sandbox's money buys no live pro."""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections, transaction
from django.utils import timezone
from pytest_django import Settings

from billing.models import Subscription
from billing.payments import checkout, inbox
from billing.payments.catalogue import ANNUAL, MONTHLY
from billing.payments.fulfilment import refresh
from billing.payments.models import Customer, OutgoingMail, TierChange
from billing.payments.reconcile import reconcile
from billing.payments.stripe_api import StripeAway
from tests.billing.fake_stripe import FakeStripe, subscription
from tests.billing.test_checkout import IDLE
from tests.conftest import Person

BOTH_WAYS = pytest.mark.parametrize(
    ("paid", "now"), [("sandbox", "live"), ("sandbox", "test"), ("test", "live")]
)


@pytest.fixture
def now_live(settings: Settings) -> FakeStripe:
    """The Stripe that is configured from now on: nobody has paid in it."""
    settings.STRIPE_MODE = "live"
    return FakeStripe()


def paid_in(mode: str, person: Person, settings: Settings) -> Customer:
    """The person has paid for a year in this mode, which is configured."""
    settings.STRIPE_MODE = mode
    customer = Customer.objects.create(user=person.user, mode=mode, stripe_id=f"cus_{mode}")
    stripe = FakeStripe()
    ends = timezone.now() + dt.timedelta(days=355)
    stripe.set(f"cus_{mode}", subscription(price_key=ANNUAL.key, period_ends_at=ends))
    refresh(customer.pk, stripe)
    assert Subscription.objects.tier_of(person.user.pk) == "pro"
    return customer


def trail() -> list[tuple[str, str, str]]:
    """What ended pro, and in which mode."""
    changes = TierChange.objects.filter(after="free").order_by("id")
    return [(one.before, one.reason, one.detail["mode"]) for one in changes]


@BOTH_WAYS
def test_pro_of_another_mode_ends_and_the_trail_says_why(
    paid: str, now: str, bob: Person, settings: Settings
) -> None:
    paid_in(paid, bob, settings)
    settings.STRIPE_MODE = now

    assert reconcile(FakeStripe()).of_another_mode == 1

    assert Subscription.objects.tier_of(bob.user.pk) == "free"
    assert trail() == [("pro", "paid in another mode", now)]
    assert reconcile(FakeStripe()).of_another_mode == 0
    assert len(trail()) == 1


@pytest.mark.parametrize("now", ["sandbox", "test"])
def test_a_key_that_is_not_live_takes_pro_from_nobody_who_pays_live(
    now: str, bob: Person, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """It is on a site with customers by mistake: ending their tiers would be noticed by all."""
    paid_in("live", bob, settings)
    settings.STRIPE_MODE = now

    assert reconcile(FakeStripe()).of_another_mode == 0

    assert Subscription.objects.tier_of(bob.user.pk) == "pro"
    assert trail() == []
    assert "1 users pay in Stripe's live mode, and the key here is not live" in caplog.text


@BOTH_WAYS
@pytest.mark.parametrize("stripe_id", [None, "cus_never_paid"])
def test_having_looked_at_the_checkout_here_keeps_no_pro_of_there(
    paid: str, now: str, stripe_id: str | None, bob: Person, settings: Settings
) -> None:
    Customer.objects.create(user=bob.user, mode=now, stripe_id=stripe_id)
    paid_in(paid, bob, settings)
    settings.STRIPE_MODE = now

    reconcile(FakeStripe())

    assert Subscription.objects.tier_of(bob.user.pk) == "free"
    assert [(before, mode) for before, _, mode in trail()] == [("pro", now)]


@BOTH_WAYS
@pytest.mark.parametrize("stripe_id", [None, "cus_never_paid"])
def test_it_ends_while_stripe_is_away_too(
    paid: str, now: str, stripe_id: str | None, bob: Person, settings: Settings
) -> None:
    Customer.objects.create(user=bob.user, mode=now, stripe_id=stripe_id)
    paid_in(paid, bob, settings)
    settings.STRIPE_MODE = now
    away = FakeStripe()
    away.away = True

    with pytest.raises(StripeAway):
        reconcile(away)

    assert Subscription.objects.tier_of(bob.user.pk) == "free"
    assert len(trail()) == 1


def test_a_payer_is_on_pro_again_once_their_own_mode_is_configured_again(
    bob: Person, settings: Settings
) -> None:
    paid_in("live", bob, settings)
    settings.STRIPE_MODE = "sandbox"
    reconcile(FakeStripe())
    settings.STRIPE_MODE = "live"
    live = FakeStripe()
    live.set("cus_live", subscription())

    inbox.drain(live)

    assert Subscription.objects.tier_of(bob.user.pk) == "pro"


@pytest.mark.django_db(transaction=True)
def test_whoever_a_worker_holds_is_left_to_the_next_run(bob: Person, settings: Settings) -> None:
    paid_in("sandbox", bob, settings)
    settings.STRIPE_MODE = "live"
    held = Customer.objects.create(user=bob.user, mode="live", stripe_id="cus_here")

    def meanwhile() -> int:
        try:
            return reconcile(FakeStripe()).of_another_mode
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as thread:
        with transaction.atomic():
            Customer.objects.select_for_update(no_key=True).get(pk=held.pk)
            assert thread.submit(meanwhile).result(20) == 0
        assert Subscription.objects.tier_of(bob.user.pk) == "pro"
        assert thread.submit(meanwhile).result(20) == 1
    assert Subscription.objects.tier_of(bob.user.pk) == "free"


def test_who_pays_in_this_mode_as_well_keeps_pro(
    bob: Person, settings: Settings, customer: Customer, stripe_double: FakeStripe
) -> None:
    paid_in("live", bob, settings)
    settings.STRIPE_MODE = "sandbox"
    stripe_double.set("cus_1", subscription())
    refresh(customer.pk, stripe_double)

    assert reconcile(stripe_double).of_another_mode == 0

    assert Subscription.objects.tier_of(bob.user.pk) == "pro"
    assert trail() == []


def test_what_staff_granted_stays_in_every_mode(
    bob: Person, now_live: FakeStripe, settings: Settings
) -> None:
    Subscription.objects.create(user=bob.user, tier="pro", source="staff")

    assert reconcile(now_live).of_another_mode == 0

    assert Subscription.objects.tier_of(bob.user.pk) == "pro"
    assert not TierChange.objects.exists()


def test_a_payer_of_another_mode_who_presses_upgrade_becomes_no_customer_here(
    bob: Person, settings: Settings
) -> None:
    paid_in("sandbox", bob, settings)
    settings.STRIPE_MODE = "live"

    with pytest.raises(checkout.AlreadyPaying):
        checkout.begin(bob.user, MONTHLY.key, IDLE, FakeStripe())
    reconcile(FakeStripe())

    assert not Customer.objects.filter(mode="live").exists()
    assert Subscription.objects.tier_of(bob.user.pk) == "free"


def test_nobody_is_mailed_about_a_sandbox_s_end(bob: Person, settings: Settings) -> None:
    paid_in("sandbox", bob, settings)
    OutgoingMail.objects.all().delete()
    settings.STRIPE_MODE = "live"

    reconcile(FakeStripe())

    assert not OutgoingMail.objects.exists()
