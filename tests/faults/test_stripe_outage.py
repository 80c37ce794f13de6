"""Stripe is away, busy, broken or silent: webhooks are kept, nobody waits, and nothing is lost."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_django import Settings
from stripe import WebhookSignature

from billing.models import Subscription
from billing.payments import inbox
from billing.payments.fulfilment import refresh
from billing.payments.models import (
    Customer,
    OutgoingMail,
    TierChange,
    WebhookEvent,
)
from billing.payments.states import CustomerState
from billing.payments.stripe_api import (
    PAGE_BEGINS,
    PAGE_TIMEOUT,
    StripeApi,
    StripeAway,
    web_api,
    worker_api,
)
from scalix.celery import app as _celery  # noqa: F401  (as in the web process)
from tests.billing.fake_stripe import FakeStripe, event, subscription, text_of
from tests.billing.shop import Shop
from tests.conftest import Person
from tests.faults.payments_workers import Workers
from tests.faults.stripe_gate import StripeGate
from tests.stripe_sandbox import KEY, SECRET, StripeSandbox

DELIVERIES = 100
LONGEST_PAGE = 5.0  # seconds that a request may be held up by Stripe, whatever it does
LONGEST_WAIT = 30.0  # seconds between two attempts of the worker
BUYERS = 30
OTHERS = 70
A_CALL = 0.1  # seconds that a call of Stripe takes, as over the Internet
DRAINED = 60.0  # seconds after Stripe is back


@pytest.fixture
def shop(running_sandbox: StripeSandbox, transactional_db: None) -> Shop:
    return Shop(running_sandbox)


@pytest.fixture
def gate(running_sandbox: StripeSandbox, settings: Settings) -> Iterator[StripeGate]:
    """The Stripe that the product is configured with."""
    with StripeGate(running_sandbox.base) as gate:
        settings.STRIPE_API_BASE = gate.base
        yield gate


def impatient(gate: StripeGate) -> StripeApi:
    """Gives up sooner than the worker does, and otherwise as it does."""
    return StripeApi(key=KEY, base=gate.base, timeout=0.3, retries=0)


# The webhook --------------------------------------------------------------------------------


def test_webhooks_are_kept_while_stripe_hangs_and_it_is_never_called(
    shop: Shop, gate: StripeGate
) -> None:
    """`python -m bench.webhooks` measures how long Stripe waits for it."""
    customer = shop.customer()
    gate.hangs = True
    client = Client()
    for _ in range(DELIVERIES):
        body = text_of(event("invoice.paid", customer.stripe_id))
        signature = WebhookSignature.generate_signature_header(body, SECRET)
        answer = client.post(
            "/billing/webhook/",
            body,
            content_type="application/json",
            headers={"Stripe-Signature": signature},
        )
        assert answer.status_code == 200
    assert gate.calls == []
    assert WebhookEvent.objects.filter(state="pending").count() == DELIVERIES


# The worker ---------------------------------------------------------------------------------

TROUBLES = [429, 500, 503, 401, 403, 404, "hangs"]


@pytest.mark.parametrize("trouble", TROUBLES)
def test_no_trouble_takes_a_tier_away_or_ends_an_event(
    trouble: int | str, shop: Shop, gate: StripeGate
) -> None:
    """401 is a key that was revoked: it says nothing about who pays."""
    payer, buyer = shop.customer(), shop.customer()
    shop.buy(payer)
    shop.deliver()
    inbox.drain(worker_api())
    shop.buy(buyer)
    for customer in (payer, buyer):
        body = event("customer.subscription.updated", customer.stripe_id)
        inbox.record(body, text_of(body))
    gate.hangs, gate.status = trouble == "hangs", None if trouble == "hangs" else int(trouble)
    inbox.drain(impatient(gate))

    assert Subscription.objects.tier_of(payer.user_id) == "pro"
    assert Subscription.objects.tier_of(buyer.user_id) == "free"
    assert TierChange.objects.count() == OutgoingMail.objects.count() == 1
    assert WebhookEvent.objects.filter(state="pending").count() == 2

    gate.hangs, gate.status = False, None
    WebhookEvent.objects.update(next_attempt_at=timezone.now())
    Customer.objects.update(refresh_wanted_at=timezone.now())
    inbox.drain(worker_api())
    assert Subscription.objects.tier_of(buyer.user_id) == "pro"
    assert TierChange.objects.count() == OutgoingMail.objects.count() == 2
    assert not WebhookEvent.objects.filter(state="pending").exists()


def test_attempts_are_never_further_apart_than_half_a_minute(bob: Person) -> None:
    """So whatever waits is tried within it once Stripe is back, however long it was away."""
    customer = Customer.objects.create(user=bob.user, mode="sandbox", stripe_id="cus_1")
    away = FakeStripe()
    away.away = True
    found = event("invoice.paid")
    inbox.record(found, text_of(found))
    waits = []
    for _ in range(40):
        before = timezone.now()
        with pytest.raises(StripeAway):
            refresh(customer.pk, away)
        again = WebhookEvent.objects.get().next_attempt_at
        customer.refresh_from_db()
        assert customer.refresh_wanted_at == again
        waits.append(round((again - before).total_seconds()))
    assert waits[:5] == [2, 5, 10, 20, 30]
    assert max(waits) <= LONGEST_WAIT
    assert WebhookEvent.objects.get().attempts == len(waits)


def test_the_inbox_drains_when_stripe_is_back(shop: Shop, gate: StripeGate) -> None:
    """With the worker's own calls, after it hung and after it failed.

    The test before this one shows that each attempt comes within half a minute of Stripe's return.
    All calls, so many side by side as there were, have to fit into the other half.
    """
    customers = [shop.customer() for _ in range(BUYERS)]
    gate.hangs = True
    with Workers(gate.base) as workers:
        workers.start()
        for customer in customers:
            shop.buy(customer)
        shop.deliver(times=2)
        for _ in range(OTHERS):
            hint = event("customer.updated", shop.customer().stripe_id)
            inbox.record(hint, text_of(hint))
        _await(lambda: bool(gate.calls))
        gate.hangs, gate.status = False, 503
        _await(lambda: Customer.objects.filter(refresh_failures__gte=1).exists())
        assert not TierChange.objects.exists()
        before, gate.most_at_once = len(gate.calls), 0
        gate.status, gate.delay = None, A_CALL
        WebhookEvent.objects.update(next_attempt_at=timezone.now())
        Customer.objects.update(refresh_failures=20, refresh_wanted_at=timezone.now())
        _await(lambda: not WebhookEvent.objects.filter(state="pending").exists())
        calls = len(gate.calls) - before
    for customer in customers:
        assert Subscription.objects.tier_of(customer.user_id) == "pro"
    assert TierChange.objects.count() == OutgoingMail.objects.count() == BUYERS
    assert calls >= BUYERS
    assert calls / gate.most_at_once * A_CALL + LONGEST_WAIT < DRAINED


def _await(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_while_one_thread_waits_for_stripe_no_other_does(shop: Shop, gate: StripeGate) -> None:
    """Or a Stripe that hangs would keep the worker from everything else that it has to do."""

    def drain() -> int:
        try:
            return inbox.drain(worker_api())
        finally:
            connection.close()

    customer = shop.customer()
    shop.buy(customer)
    shop.deliver()
    with ThreadPoolExecutor(1) as threads:
        with gate.hold("GET") as held:
            first = threads.submit(drain)
            held.await_call()
            assert inbox.drain(worker_api()) == 0
            assert len(gate.calls) == 1
        assert first.result() == 1
    assert Subscription.objects.tier_of(customer.user_id) == "pro"


class OddStripe(FakeStripe):
    """Its answer about one customer has a shape that nobody foresaw."""

    def fetch(self, customer_id: str, session_ids: Sequence[str] = ()) -> CustomerState:
        if customer_id == "cus_1":
            raise KeyError("items")
        return super().fetch(customer_id, session_ids)


def test_a_customer_whom_nobody_can_make_sense_of_holds_up_nobody_else(
    bob: Person, charlie: Person, caplog: pytest.LogCaptureFixture
) -> None:
    odd = OddStripe()
    Customer.objects.create(user=bob.user, mode="sandbox", stripe_id="cus_1")
    Customer.objects.create(user=charlie.user, mode="sandbox", stripe_id="cus_2")
    odd.set("cus_2", subscription())
    for whose in ("cus_1", "cus_2"):
        found = event("invoice.paid", whose)
        inbox.record(found, text_of(found))
    assert inbox.drain(odd) == 1
    assert "can't be refreshed" in caplog.text
    assert Subscription.objects.tier_of(charlie.user.pk) == "pro"
    assert Subscription.objects.tier_of(bob.user.pk) == "free"
    waiting = WebhookEvent.objects.get(state="pending")
    assert (waiting.customer_stripe_id, waiting.outcome) == ("cus_1", "KeyError")


# Pages --------------------------------------------------------------------------------------


def test_no_page_waits_longer_for_stripe_than_five_seconds(gate: StripeGate) -> None:
    gate.delay = LONGEST_PAGE  # after which it answers
    with pytest.raises(StripeAway):
        web_api().fetch("cus_1")
    assert len(gate.calls) == 1  # the first call that hangs is the last one


def test_slow_answers_do_not_add_up_to_more(gate: StripeGate) -> None:
    api = web_api()
    gate.delay = 0.2
    api.deadline = time.monotonic() + gate.delay / 2
    assert api.customer_of_charge("ch_1") is None
    with pytest.raises(StripeAway):
        api.customer_of_charge("ch_1")
    assert len(gate.calls) == 1
    assert PAGE_BEGINS + PAGE_TIMEOUT < LONGEST_PAGE


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_page_hears_of_stripe_s_trouble_at_once(status: int, gate: StripeGate) -> None:
    gate.status = status
    with pytest.raises(StripeAway):
        web_api().fetch("cus_1")
    assert len(gate.calls) == 1


def test_the_worker_tries_a_silent_stripe_three_times_and_then_gives_up(gate: StripeGate) -> None:
    gate.hangs = True
    with pytest.raises(StripeAway):
        StripeApi(key=KEY, base=gate.base, timeout=0.2).fetch("cus_1")
    assert len(gate.calls) == 3


# Disputes -----------------------------------------------------------------------------------


class NoCharges(FakeStripe):
    """Fails at a certain charge, and says which ones it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def customer_of_charge(self, charge_id: str) -> str | None:
        self.asked.append(charge_id)
        if charge_id == "ch_broken":
            raise StripeAway("APIError 500")
        return super().customer_of_charge(charge_id)


def _dispute(charge: str) -> WebhookEvent:
    found = event("charge.dispute.created", None)
    found["data"] = {"object": {"object": "dispute", "id": "dp_1", "charge": charge}}
    inbox.record(found, text_of(found))
    return WebhookEvent.objects.get(event_id=found["id"])


def test_a_charge_that_stripe_fails_at_holds_up_nobody(bob: Person) -> None:
    """Not even the next dispute, for longer than until the inbox is looked at again."""
    stripe = NoCharges()
    stripe.set("cus_1", subscription())
    customer = Customer.objects.create(user=bob.user, mode="sandbox", stripe_id="cus_1")
    other, broken = _dispute("ch_1"), _dispute("ch_broken")
    hint = event("invoice.paid")
    inbox.record(hint, text_of(hint))

    assert inbox.drain(stripe) == 1
    assert stripe.asked == ["ch_broken"]
    assert Subscription.objects.tier_of(customer.user_id) == "pro"
    assert inbox.drain(stripe) == 1
    assert stripe.asked == ["ch_broken", "ch_1"]
    other.refresh_from_db()
    broken.refresh_from_db()
    assert (other.state, broken.state) == ("done", "pending")
    assert (broken.attempts, broken.outcome) == (1, "StripeAway: APIError 500")


def test_a_charge_that_keeps_failing_is_asked_for_ever_less_often(db: None) -> None:
    stripe, broken = NoCharges(), _dispute("ch_broken")
    waits = []
    for _ in range(6):
        before = timezone.now()
        inbox.drain(stripe)
        broken.refresh_from_db()
        waits.append(int((broken.next_attempt_at - before).total_seconds()))
        WebhookEvent.objects.update(next_attempt_at=before)
    assert waits == [2, 5, 10, 20, 30, 30]
