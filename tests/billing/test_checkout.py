"""From a wish to upgrade to Stripe's page, against a Stripe that answers as Stripe does."""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor

import pytest
from allauth.account.signals import email_changed
from django.db import connections
from django.utils import timezone

from accounts.models import User
from billing.metering.usage import Counters, Usage
from billing.models import Subscription
from billing.payments import checkout, inbox
from billing.payments.catalogue import ANNUAL, MONTHLY
from billing.payments.models import (
    Checkout,
    Customer,
    FunnelEvent,
    HeldOffer,
    SyncedObject,
    TierChange,
)
from billing.payments.stripe_api import StripeApi, web_api, worker_api
from billing.plans import Limits
from tests.conftest import Person
from tests.stripe_sandbox import DECLINED, StripeSandbox

FREE = Limits(
    tier="free",
    requests_per_hour=10,
    requests_per_day=50,
    tokens_per_day=10_000,
    concurrent_requests=2,
    context_window=None,
    prompt_characters=None,
    default_max_tokens=None,
)
IDLE = Usage(FREE, Counters(0, 0, 0, 0, 0))
NEAR = Usage(FREE, Counters(0, 0, 41, 0, 0))


def only_checkout() -> Checkout:
    return Checkout.objects.get(state="open")


def begin(person: Person, price: str = MONTHLY.key, usage: Usage | None = IDLE) -> str:
    return checkout.begin(person.user, price, usage, web_api())


@pytest.mark.parametrize(
    ("price", "usage", "cents"),
    [
        (MONTHLY.key, IDLE, 1499),
        (MONTHLY.key, NEAR, 1349),
        (ANNUAL.key, IDLE, 28790),
        (ANNUAL.key, NEAR, 25911),
    ],
)
def test_page_session_and_invoice_show_the_same_cents(
    sandbox: StripeSandbox, bob: Person, price: str, usage: Usage, cents: int
) -> None:
    offers = checkout.offers_for(bob.user, usage)
    shown = {one.price.key: one.total_cents for one in (offers.monthly, offers.annual)}

    begin(bob, price, usage)
    paid = sandbox.pay(only_checkout().stripe_id)
    inbox.drain(worker_api())
    checkout.ask_for_refresh(bob.user)
    inbox.drain(worker_api())

    assert paid["outcome"] == "paid"
    assert shown[price] == cents
    assert Checkout.objects.get().total_cents == cents
    customer = Customer.objects.get(user=bob.user)
    state = worker_api().fetch(customer.stripe_id or "")
    assert state.subscriptions[0].paid_cents == cents
    assert Subscription.objects.tier_of(bob.user.pk) == "pro"


def test_nothing_is_granted_before_it_is_paid(sandbox: StripeSandbox, bob: Person) -> None:
    begin(bob)
    assert sandbox.pay(only_checkout().stripe_id, DECLINED)["outcome"] == "declined"
    checkout.ask_for_refresh(bob.user)
    inbox.drain(worker_api())

    assert Subscription.objects.tier_of(bob.user.pk) == "free"
    assert not TierChange.objects.exists()


def test_who_asks_again_gets_the_same_page(sandbox: StripeSandbox, bob: Person) -> None:
    assert begin(bob) == begin(bob)
    assert Checkout.objects.count() == 1


def test_another_price_closes_the_first_page(sandbox: StripeSandbox, bob: Person) -> None:
    begin(bob)
    first = only_checkout()
    begin(bob, ANNUAL.key)

    assert only_checkout().price_key == ANNUAL.key
    first.refresh_from_db()
    assert first.state == "expired"
    assert sandbox.pay(first.stripe_id)["outcome"] == "closed"


def test_a_page_that_was_paid_in_another_tab_is_not_followed_by_a_second(
    sandbox: StripeSandbox, bob: Person
) -> None:
    begin(bob)
    paid = only_checkout()
    sandbox.pay(paid.stripe_id)

    for price in (MONTHLY.key, ANNUAL.key):
        with pytest.raises(checkout.BeingConfirmed) as refused:
            begin(bob, price)
        assert refused.value.session_id == paid.stripe_id
    assert Checkout.objects.count() == 1
    # The refused click is a hint as good as a webhook.
    inbox.drain(worker_api())
    assert Subscription.objects.tier_of(bob.user.pk) == "pro"


def test_who_pays_already_is_sent_to_the_billing_page(sandbox: StripeSandbox, bob: Person) -> None:
    begin(bob)
    sandbox.pay(only_checkout().stripe_id)
    checkout.ask_for_refresh(bob.user)
    inbox.drain(worker_api())

    with pytest.raises(checkout.AlreadyPaying):
        begin(bob)
    assert Checkout.objects.count() == 1


def test_who_was_granted_pro_by_staff_is_not_charged(sandbox: StripeSandbox, bob: Person) -> None:
    Subscription.objects.create(user=bob.user, tier="pro", source="staff")

    with pytest.raises(checkout.AlreadyPaying):
        begin(bob)
    assert not Checkout.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_fifty_clicks_at_once_make_one_customer_and_one_session(
    sandbox: StripeSandbox, bob: Person
) -> None:
    def click(_: int) -> str:
        try:
            return checkout.begin(bob.user, MONTHLY.key, IDLE, worker_api())
        except checkout.StripeBusy:
            return ""  # waited for two seconds: the click is refused, and nothing was made
        finally:
            connections.close_all()

    with ThreadPoolExecutor(50) as threads:
        urls = set(threads.map(click, range(50)))

    assert len(urls - {""}) == 1
    assert Customer.objects.count() == 1
    assert Checkout.objects.count() == 1
    at_stripe = sandbox.get("customers?limit=100&email=bob%40example.com")["data"]
    assert Customer.objects.get().stripe_id in [one["id"] for one in at_stripe]
    assert (
        len({one["id"] for one in at_stripe if one["metadata"]["user_id"] == str(bob.user.pk)}) == 1
    )


@pytest.mark.parametrize("price", ["", "1", "scalix_pro_monthly ", "price_123", "first_month"])
def test_a_price_that_is_none_of_ours_is_refused(
    sandbox: StripeSandbox, bob: Person, price: str
) -> None:
    with pytest.raises(KeyError):
        begin(bob, price)
    assert not Customer.objects.exists()


def test_stripe_away_is_said_and_leaves_nothing_half_done(
    sandbox: StripeSandbox, bob: Person
) -> None:
    nowhere = StripeApi(key="sk_test_x", base="http://127.0.0.1:9", timeout=1, retries=0)

    with pytest.raises(checkout.StripeBusy):
        checkout.begin(bob.user, MONTHLY.key, IDLE, nowhere)

    assert not Checkout.objects.exists()
    assert Customer.objects.get().stripe_id is None
    assert begin(bob)


def test_a_price_that_was_never_synced_is_not_for_sale(sandbox: StripeSandbox, bob: Person) -> None:
    SyncedObject.objects.filter(key=MONTHLY.key).delete()

    with pytest.raises(checkout.NotForSale):
        begin(bob)
    assert not Checkout.objects.exists()


def test_an_amount_other_than_the_one_shown_is_never_asked_for(
    sandbox: StripeSandbox, bob: Person
) -> None:
    annual = SyncedObject.objects.get(key=ANNUAL.key)
    SyncedObject.objects.filter(key=MONTHLY.key).update(stripe_id=annual.stripe_id)

    with pytest.raises(checkout.NotForSale):
        begin(bob)
    assert not Checkout.objects.exists()


# What an offer rests on ---------------------------------------------------------------------


def test_a_discount_that_rests_on_usage_outlives_the_hour_that_it_was_shown_in(
    db: None, bob: Person
) -> None:
    shown = checkout.offers_for(bob.user, NEAR).monthly
    later = checkout.offers_for(bob.user, IDLE).monthly

    assert shown.total_cents == later.total_cents == 1349
    assert shown.held_until == later.held_until
    assert HeldOffer.objects.get().discount == "near_limit"


def test_a_held_discount_ends_after_a_day(db: None, bob: Person) -> None:
    checkout.offers_for(bob.user, NEAR)
    HeldOffer.objects.update(held_until=timezone.now() - dt.timedelta(seconds=1))

    assert checkout.offers_for(bob.user, IDLE).monthly.total_cents == 1499


def test_looking_again_does_not_prolong_a_held_discount(db: None, bob: Person) -> None:
    first = checkout.offers_for(bob.user, NEAR).monthly.held_until
    assert checkout.offers_for(bob.user, NEAR).monthly.held_until == first


def test_nobody_is_offered_what_a_new_user_gets(db: None) -> None:
    offers = checkout.offers_for(None, None)

    assert (offers.monthly.total_cents, offers.annual.total_cents) == (1499, 28790)
    assert not HeldOffer.objects.exists()


def test_who_has_paid_before_has_no_first_month(db: None, bob: Person) -> None:
    Customer.objects.create(user=bob.user, mode="sandbox", stripe_id="cus_9", has_paid=True)

    assert checkout.offers_for(bob.user, IDLE).monthly.total_cents == 2999


def test_a_click_is_noted_with_the_prompt_that_led_to_it(
    sandbox: StripeSandbox, bob: Person
) -> None:
    checkout.begin(bob.user, MONTHLY.key, IDLE, web_api(), FunnelEvent.Trigger.NEAR_LIMIT)

    noted = FunnelEvent.objects.get(kind="checkout")
    assert (noted.account_id, noted.trigger) == (bob.user.pk, "near_limit")


# The portal ---------------------------------------------------------------------------------


def test_the_portal_is_for_whoever_stripe_knows(sandbox: StripeSandbox, bob: Person) -> None:
    with pytest.raises(checkout.CheckoutRefused, match="nothing to manage"):
        checkout.portal(bob.user, web_api())

    begin(bob)

    assert checkout.portal(bob.user, web_api()).startswith(sandbox.base)


def test_a_customer_that_was_deleted_at_stripe_is_free_and_may_begin_again(
    sandbox: StripeSandbox, bob: Person
) -> None:
    begin(bob)
    sandbox.pay(only_checkout().stripe_id)
    checkout.ask_for_refresh(bob.user)
    inbox.drain(worker_api())
    first = Customer.objects.get().stripe_id
    sandbox.delete(f"customers/{first}")
    checkout.ask_for_refresh(bob.user)
    inbox.drain(worker_api())

    assert Subscription.objects.tier_of(bob.user.pk) == "free"
    begin(bob)
    again = Customer.objects.get()
    assert again.stripe_id not in (None, first)
    assert only_checkout().total_cents == 2999, "who has paid once has no first month"


def test_receipts_go_to_the_users_own_address(sandbox: StripeSandbox, bob: Person) -> None:
    begin(bob)
    bob.user.email = "bob@elsewhere.example"
    bob.user.save()
    email_changed.send(User, request=None, user=bob.user)
    inbox.drain(worker_api())

    customer = sandbox.get(f"customers/{Customer.objects.get().stripe_id}")
    assert customer["email"] == "bob@elsewhere.example"
