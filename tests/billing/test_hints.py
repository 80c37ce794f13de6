"""Hints that are bad, that come at once, that are lost or that are repeated."""

import datetime as dt
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connections, transaction
from django.test import Client
from django.utils import timezone

from billing.models import Subscription
from billing.payments import checkout, inbox
from billing.payments.catalogue import MONTHLY
from billing.payments.fulfilment import refresh
from billing.payments.models import Checkout, Customer, OutgoingMail, WebhookEvent
from billing.payments.reconcile import reconcile
from billing.payments.states import CustomerState, SubscriptionState
from billing.payments.stripe_api import StripeAway, StripeRefused
from tests.billing.fake_stripe import FakeStripe, event, subscription, text_of
from tests.billing.test_checkout import IDLE
from tests.conftest import Person, _person

WORKERS = 4


def tell(kind: str = "customer.subscription.updated", customer_id: str | None = "cus_1") -> None:
    found = event(kind, customer_id)
    inbox.record(found, text_of(found))


# Disputes -----------------------------------------------------------------------------------


class NoCharges(FakeStripe):
    """Refuses to say whose a charge is."""

    def customer_of_charge(self, charge_id: str) -> str | None:
        raise StripeRefused("PermissionError 403")


def dispute(**fields: str) -> None:
    """A dispute's event, which names its charge at most."""
    found = event("charge.dispute.created", None)
    found["data"] = {"object": {"object": "dispute", "id": "dp_1", **fields}}
    inbox.record(found, text_of(found))


@pytest.mark.parametrize("fields", [{"charge": "ch_1"}, {}])
def test_a_dispute_about_nobody_knows_what_holds_up_nobody_else(
    fields: dict[str, str], customer: Customer
) -> None:
    stripe = NoCharges()
    stripe.set("cus_1", subscription())
    dispute(**fields)
    tell("invoice.paid")

    inbox.drain(stripe)

    assert Subscription.objects.tier_of(customer.user_id) == "pro"
    waiting = WebhookEvent.objects.get(state="pending")
    assert (waiting.type, waiting.attempts) == ("charge.dispute.created", 1)
    assert waiting.next_attempt_at > timezone.now()
    assert waiting.outcome

    WebhookEvent.objects.filter(pk=waiting.pk).update(next_attempt_at=timezone.now())
    inbox.drain(stripe)

    waiting.refresh_from_db()
    assert waiting.attempts == 2


class SilentAboutCharges(FakeStripe):
    """Answers everything but whose a charge is."""

    def customer_of_charge(self, charge_id: str) -> str | None:
        raise StripeAway("APIConnectionError")


def test_a_dispute_that_stripe_does_not_answer_about_holds_up_nobody_else(
    customer: Customer,
) -> None:
    stripe = SilentAboutCharges()
    stripe.set("cus_1", subscription())
    dispute(charge="ch_1")
    tell("invoice.paid")

    assert inbox.drain(stripe) == 1

    assert Subscription.objects.tier_of(customer.user_id) == "pro"
    waiting = WebhookEvent.objects.get(state="pending")
    assert (waiting.type, waiting.attempts) == ("charge.dispute.created", 1)
    assert waiting.next_attempt_at > timezone.now()

    answering = FakeStripe()
    answering.set("cus_1", subscription())
    WebhookEvent.objects.update(next_attempt_at=timezone.now())
    inbox.drain(answering)
    assert not WebhookEvent.objects.filter(state="pending").exists()


# At once ------------------------------------------------------------------------------------


class Counting(FakeStripe):
    """Says whom it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def fetch(self, customer_id: str, session_ids: Sequence[str] = ()) -> CustomerState:
        self.asked.append(customer_id)
        return super().fetch(customer_id, session_ids)


def hinted_at(number: int) -> list[Customer]:
    """So many customers, each of whom something hints at."""
    return [
        Customer.objects.create(
            user=_person(f"buyer-{one}").user,
            mode="sandbox",
            stripe_id=f"cus_{one}",
            refresh_wanted_at=timezone.now(),
        )
        for one in range(number)
    ]


@pytest.mark.django_db(transaction=True)
def test_four_drains_at_once_fetch_each_customer_once() -> None:
    customers, stripe, together = hinted_at(5), Counting(), Barrier(WORKERS)

    def drain() -> int:
        try:
            together.wait(20)
            return inbox.drain(stripe)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(WORKERS) as threads:
        drains = [threads.submit(drain) for _ in range(WORKERS)]
    done = [one.result() for one in drains]

    assert sum(done) == 5
    assert sorted(stripe.asked) == sorted(str(one.stripe_id) for one in customers)


@pytest.mark.django_db(transaction=True)
def test_four_workers_with_the_same_list_fetch_each_customer_once() -> None:
    customers, stripe, together = hinted_at(5), Counting(), Barrier(WORKERS)

    def work() -> None:
        try:
            together.wait(20)
            for customer in customers:
                refresh(customer.pk, stripe, only_if_due=True)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(WORKERS) as threads:
        workers = [threads.submit(work) for _ in range(WORKERS)]
    for one in workers:
        one.result()

    assert sorted(stripe.asked) == sorted(str(one.stripe_id) for one in customers)


# Lost ---------------------------------------------------------------------------------------


class ListsWhatGoesOn(FakeStripe):
    """Lists what has not ended only, as Stripe does."""

    def every_subscription(self) -> list[tuple[str, SubscriptionState]]:
        return [found for found in super().every_subscription() if found[1].status != "canceled"]


def test_a_lost_end_of_an_unpaid_subscription_is_found_and_they_may_buy_again(
    customer: Customer,
) -> None:
    stripe = ListsWhatGoesOn()
    stripe.set("cus_1", subscription("unpaid"))
    refresh(customer.pk, stripe)
    with pytest.raises(checkout.AlreadyPaying):
        checkout.begin(customer.user, MONTHLY.key, IDLE, stripe)
    stripe.set("cus_1", subscription("canceled"))

    assert reconcile(stripe).differing == 1

    customer.refresh_from_db()
    assert customer.status == "canceled"
    with pytest.raises(checkout.NotForSale):  # nothing is synced here: it got that far
        checkout.begin(customer.user, MONTHLY.key, IDLE, stripe)
    assert reconcile(stripe).differing == 0


def test_a_subscription_of_another_product_does_not_differ_for_ever(
    customer: Customer, stripe_double: FakeStripe
) -> None:
    stripe_double.set("cus_1", subscription(price_key="of another product"))
    assert [reconcile(stripe_double).differing for _ in range(2)] == [0, 0]


@pytest.mark.django_db(transaction=True)
def test_a_hint_that_fell_on_a_held_row_is_given_again_by_the_return_page(
    flush: object, bob: Person, customer: Customer
) -> None:
    looked = timezone.now() - dt.timedelta(minutes=1)
    Customer.objects.update(fetched_at=looked)
    Checkout.objects.create(
        customer=customer,
        stripe_id="cs_1",
        url="http://127.0.0.1:9/",
        price_key=MONTHLY.key,
        lines=[],
        total_cents=1499,
        expires_at=timezone.now() + dt.timedelta(minutes=30),
    )
    browser = Client()
    browser.force_login(bob.user)

    def come_back() -> int:
        try:
            return browser.get("/billing/return/?session_id=cs_1").status_code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as thread, transaction.atomic():
        Customer.objects.select_for_update(no_key=True).get(pk=customer.pk)
        assert thread.submit(come_back).result(20) == 200
    customer.refresh_from_db()
    assert customer.refresh_wanted_at is None, "the hint was lost"

    polled = browser.get("/billing/return/state/?session_id=cs_1")

    assert polled.json() == {"state": "confirming"}
    customer.refresh_from_db()
    assert customer.refresh_wanted_at is not None


# Repeated -----------------------------------------------------------------------------------


def test_cancel_resume_and_cancel_are_two_mails_however_often_they_are_delivered(
    customer: Customer, stripe_double: FakeStripe
) -> None:
    ends = timezone.now().replace(microsecond=0) + dt.timedelta(days=20)
    for cancels_at in (None, ends, None, ends):
        stripe_double.set("cus_1", subscription(cancels_at=cancels_at))
        found = event("customer.subscription.updated")
        for _ in range(2):
            inbox.record(found, text_of(found))
            inbox.drain(stripe_double)
            tell()
            inbox.drain(stripe_double)

    assert OutgoingMail.objects.filter(kind="cancels").count() == 2
    assert OutgoingMail.objects.count() == 3  # and that they are on pro
