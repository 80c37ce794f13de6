"""What Stripe does not find: only a customer that it says was deleted is free for that."""

from collections.abc import Sequence

import pytest
from django.db.models import ProtectedError
from django.utils import timezone
from pytest_django import Settings

from accounts.models import User
from billing.models import Subscription
from billing.payments import checkout, inbox
from billing.payments.catalogue import MONTHLY
from billing.payments.fulfilment import refresh
from billing.payments.models import Checkout, Customer, OutgoingMail, TierChange, WebhookEvent
from billing.payments.reconcile import reconcile
from billing.payments.states import CustomerState, SubscriptionState
from billing.payments.stripe_api import (
    StripeMissing,
    StripeRefused,
    web_api,
    worker_api,
)
from tests.billing.fake_stripe import FakeStripe, event, subscription, text_of
from tests.billing.test_checkout import IDLE, begin, only_checkout
from tests.conftest import Person
from tests.stripe_sandbox import StripeSandbox


class OtherAccount(FakeStripe):
    """What a key of another account sees: nobody of ours."""

    def fetch(self, customer_id: str, session_ids: Sequence[str] = ()) -> CustomerState:
        self.fetches += 1
        raise StripeMissing("InvalidRequestError 404 resource_missing")

    def every_subscription(self) -> list[tuple[str, SubscriptionState]]:
        return []


def on_pro(customer: Customer, stripe: FakeStripe) -> None:
    """The customer has paid, and that is known."""
    stripe.set("cus_1", subscription())
    refresh(customer.pk, stripe)
    assert Subscription.objects.tier_of(customer.user_id) == "pro"


def paid_in(sandbox: StripeSandbox, person: Person) -> Customer:
    """The person has paid for a month in the sandbox, and that is known."""
    begin(person)
    sandbox.pay(only_checkout().stripe_id)
    customer = Customer.objects.get(user=person.user)
    refresh(customer.pk, worker_api())
    customer.refresh_from_db()
    return customer


def lost_session(customer: Customer) -> Checkout:
    """A session that is open here and that Stripe does not know."""
    return Checkout.objects.create(
        customer=customer,
        stripe_id="cs_test_nowhere",
        url="http://127.0.0.1:9/",
        price_key=MONTHLY.key,
        lines=[],
        total_cents=2999,
        expires_at=timezone.now(),
    )


# A session ----------------------------------------------------------------------------------


def test_a_session_that_stripe_does_not_know_ends_and_takes_nothing_with_it(
    sandbox: StripeSandbox, bob: Person
) -> None:
    customer = paid_in(sandbox, bob)
    missing = lost_session(customer)

    refresh(customer.pk, worker_api())

    missing.refresh_from_db()
    assert missing.state == "expired"
    found = Customer.objects.get()
    assert (found.stripe_id, found.status) == (customer.stripe_id, "active")
    assert Subscription.objects.tier_of(bob.user.pk) == "pro"
    assert TierChange.objects.count() == 1


def test_who_comes_back_to_a_session_that_stripe_does_not_know_gets_another_page(
    sandbox: StripeSandbox, bob: Person
) -> None:
    begin(bob)
    Checkout.objects.update(stripe_id="cs_test_nowhere")

    assert begin(bob).startswith(sandbox.base)

    assert only_checkout().stripe_id != "cs_test_nowhere"
    assert Checkout.objects.get(stripe_id="cs_test_nowhere").state == "expired"


# A customer ---------------------------------------------------------------------------------


def test_a_customer_that_this_key_does_not_know_loses_nothing_and_is_tried_again(
    customer: Customer, stripe_double: FakeStripe
) -> None:
    on_pro(customer, stripe_double)
    before = Customer.objects.values().get()
    found = event("customer.subscription.updated")
    inbox.record(found, text_of(found))

    with pytest.raises(StripeMissing):
        refresh(customer.pk, OtherAccount())

    after = Customer.objects.values().get()
    assert after["refresh_wanted_at"] is not None
    assert after["refresh_failures"] == 1
    tried = {"refresh_wanted_at", "refresh_failures"}
    assert {name: after[name] for name in after.keys() - tried} == {
        name: before[name] for name in before.keys() - tried
    }
    assert Subscription.objects.tier_of(customer.user_id) == "pro"
    assert TierChange.objects.count() == OutgoingMail.objects.count() == 1
    waiting = WebhookEvent.objects.get()
    assert (waiting.state, waiting.attempts) == ("pending", 1)


def test_a_reconciler_with_another_account_s_key_changes_no_tier(
    customer: Customer, stripe_double: FakeStripe
) -> None:
    on_pro(customer, stripe_double)
    wrong = OtherAccount()

    assert reconcile(wrong).differing == 1

    assert wrong.fetches == 1
    customer.refresh_from_db()
    assert (customer.stripe_id, customer.status) == ("cus_1", "active")
    assert Subscription.objects.tier_of(customer.user_id) == "pro"
    assert TierChange.objects.count() == OutgoingMail.objects.count() == 1

    reconcile(stripe_double)  # with the right key again
    refresh(customer.pk, stripe_double)

    assert Subscription.objects.tier_of(customer.user_id) == "pro"
    assert TierChange.objects.count() == 1


def test_a_key_of_nobody_changes_no_tier(
    sandbox: StripeSandbox, bob: Person, settings: Settings
) -> None:
    customer = paid_in(sandbox, bob)
    settings.STRIPE_SECRET_KEY = "sk_test_revoked"

    with pytest.raises(StripeRefused):
        reconcile(worker_api())
    with pytest.raises(StripeRefused):
        refresh(customer.pk, worker_api())

    assert Customer.objects.get().stripe_id == customer.stripe_id
    assert Subscription.objects.tier_of(bob.user.pk) == "pro"


def test_a_customer_that_stripe_says_is_deleted_is_free_and_may_begin_again(
    sandbox: StripeSandbox, bob: Person
) -> None:
    first = paid_in(sandbox, bob)
    sandbox.delete(f"customers/{first.stripe_id}")

    refresh(first.pk, worker_api())

    gone = Customer.objects.get()
    assert (gone.stripe_id, gone.status) == (None, "")
    assert Subscription.objects.tier_of(bob.user.pk) == "free"
    assert TierChange.objects.latest("id").after == "free"
    assert checkout.begin(bob.user, MONTHLY.key, IDLE, web_api())
    assert Customer.objects.get().stripe_id not in (None, first.stripe_id)


# An account ---------------------------------------------------------------------------------


def test_a_user_whom_stripe_knows_is_not_deleted(
    customer: Customer, stripe_double: FakeStripe
) -> None:
    on_pro(customer, stripe_double)

    with pytest.raises(ProtectedError):
        User.objects.get(pk=customer.user_id).delete()

    assert User.objects.filter(pk=customer.user_id).exists()
    assert Customer.objects.get().stripe_id == "cus_1"
    assert TierChange.objects.count() == 1
