"""A worker of payments dies by kill -9 at each step, and anywhere: nothing is lost or doubled."""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from django.db import connection, transaction
from django.utils import timezone

from billing.models import Subscription
from billing.payments import inbox
from billing.payments.models import (
    Customer,
    OutgoingMail,
    Repayment,
    TierChange,
    WebhookEvent,
)
from tests.billing.fake_stripe import event, text_of
from tests.billing.shop import Shop
from tests.faults.payments_workers import Workers
from tests.faults.stripe_gate import StripeGate
from tests.stripe_sandbox import StripeSandbox

BUYERS = 50
AT_WORK = (True, False)  # a change's two kills: while a customer is refreshed, or at any moment
KILLS = 2 * BUYERS * len(AT_WORK)
FEWEST_HITS = KILLS // 10  # as many as without which the test would say little
PATIENCE = 60.0
LONGEST_LIFE = 0.12
"""Seconds until a worker is killed, at most: a refresh takes about a third of it."""
LONGEST_WORK = LONGEST_LIFE / 3


@pytest.fixture
def shop(running_sandbox: StripeSandbox, transactional_db: None) -> Shop:
    return Shop(running_sandbox)


@pytest.fixture
def workers(shop: Shop) -> Iterator[Workers]:
    with Workers(shop.sandbox.base) as workers:
        yield workers


def until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.002)


def all_done() -> bool:
    return not WebhookEvent.objects.filter(state="pending").exists()


def nothing_is_wanted_half_a_minute_later() -> bool:
    """Whether no customer is to be refreshed; what is to be tried again later, is now."""
    wanted = Customer.objects.exclude(refresh_wanted_at=None)
    wanted.filter(refresh_wanted_at__gt=timezone.now()).update(refresh_wanted_at=timezone.now())
    return not wanted.exists()


def finish(workers: Workers) -> None:
    """A worker that nobody kills does what is left."""
    pid = workers.start()
    until(all_done, "the inbox is drained")
    workers.kill(pid)


def somebody_waits_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
        return bool(cursor.fetchone()[0])


def somebody_asks_stripe() -> bool:
    """Whether a transaction is open that waits for something else than Postgres."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() AND state = 'idle in transaction')"
        )
        return bool(cursor.fetchone()[0])


def trail_and_mails(customer: Customer) -> tuple[list[str], Counter[str]]:
    changes = TierChange.objects.filter(user=customer.user_id).order_by("id")
    mails = OutgoingMail.objects.filter(user=customer.user_id)
    return list(changes.values_list("after", flat=True)), Counter(
        mails.values_list("kind", flat=True)
    )


def assert_upgraded_once(customer: Customer) -> None:
    assert Subscription.objects.tier_of(customer.user_id) == "pro"
    assert trail_and_mails(customer) == (["pro"], Counter(upgraded=1))
    assert set(WebhookEvent.objects.values_list("state", flat=True)) == {"done"}


STEPS = {  # and the lock at which a worker comes to a halt
    "after the insert": "LOCK TABLE billing_checkout IN ACCESS EXCLUSIVE MODE",  # read before
    "after the fetch": "SELECT FROM billing_subscription FOR UPDATE",  # the first row it writes
    "before the commit": "SELECT FROM billing_webhookevent FOR UPDATE",  # the last one
}


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_a_step_the_next_worker_upgrades_once(
    step: str, shop: Shop, workers: Workers
) -> None:
    customer = shop.customer()
    Subscription.objects.create(user=customer.user, source="stripe", tier="free")
    shop.buy(customer)
    assert shop.deliver(times=2) > 0
    with transaction.atomic():
        connection.cursor().execute(STEPS[step])
        pid = workers.start()
        until(somebody_waits_for_a_lock, step)
        workers.kill(pid)
    assert Subscription.objects.tier_of(customer.user_id) == "free"
    assert not TierChange.objects.exists()
    assert not OutgoingMail.objects.exists()
    assert set(WebhookEvent.objects.values_list("state", flat=True)) == {"pending"}
    finish(workers)
    assert_upgraded_once(customer)


def test_killed_after_the_commit_the_next_worker_adds_nothing(shop: Shop, workers: Workers) -> None:
    customer = shop.customer()
    shop.buy(customer)
    shop.deliver(times=2)
    finish(workers)
    Customer.objects.update(refresh_wanted_at="2026-01-01T00:00Z")
    pid = workers.start()
    until(lambda: not Customer.objects.exclude(refresh_wanted_at=None).exists(), "refreshed again")
    workers.kill(pid)
    assert_upgraded_once(customer)


def test_killed_while_stripe_is_asked_the_next_worker_upgrades_once(shop: Shop) -> None:
    customer = shop.customer()
    shop.buy(customer)
    shop.deliver()
    with StripeGate(shop.sandbox.base) as gate, Workers(gate.base) as workers:
        with gate.hold("GET") as held:
            pid = workers.start()
            held.await_call()
            workers.kill(pid)
        finish(workers)
    assert_upgraded_once(customer)


GIVING_BACK = {
    "before the refund": ("POST", False),
    "after the refund": ("POST", True),
    "before the cancellation": ("DELETE", False),
    "after the cancellation": ("DELETE", True),
}


@pytest.mark.parametrize("step", GIVING_BACK)
def test_killed_while_it_gives_back_the_next_worker_goes_on(step: str, shop: Shop) -> None:
    """After the cancellation nothing is left to do at Stripe, but the customer has to hear of it.

    "After" is when Stripe has done it and the worker has not been told.
    """
    method, answered = GIVING_BACK[step]
    customer = shop.customer()
    two = (shop.buy(customer), shop.buy(customer))
    first, second = sorted(two, key=lambda one: (one.created_at, one.id))
    shop.deliver()
    with StripeGate(shop.sandbox.base) as gate, Workers(gate.base) as workers:
        with gate.hold(method, answers=answered) as held:
            pid = workers.start()
            held.await_call()
            workers.kill(pid)
        refunded = {one.id: one.refunded_cents for one in shop.state_of(customer)}[second.id]
        assert refunded == (0 if step == "before the refund" else second.paid_cents)
        pid = workers.start()
        until(nothing_is_wanted_half_a_minute_later, "given back")
        workers.kill(pid)
        assert sum(call.startswith("POST /v1/refunds") for call in gate.calls) <= 2
        shop.deliver()
        finish(workers)
    now = {one.id: one for one in shop.state_of(customer)}
    assert (now[first.id].status, now[first.id].refunded_cents) == ("active", 0)
    assert (now[second.id].status, now[second.id].refunded_cents) == ("canceled", second.paid_cents)
    assert Repayment.objects.get().subscription_id == second.id
    assert Subscription.objects.tier_of(customer.user_id) == "pro"
    assert trail_and_mails(customer) == (["pro"], Counter(upgraded=1, second_refunded=1))


def test_two_hundred_random_kills_lose_and_double_nothing(
    shop: Shop, workers: Workers, capsys: pytest.CaptureFixture[str]
) -> None:
    """Fifty upgrade and fifty end, while every worker lives a tenth of a second."""
    dice = random.Random(9)
    customers = [shop.customer() for _ in range(BUYERS)]
    bought = {}
    hits = 0
    for customer in customers:
        bought[customer.pk] = shop.buy(customer)
        hits += hint_and_kill(customer, workers, dice)
    finish(workers)
    for customer in customers:
        shop.api.cancel_now(bought[customer.pk].id, idempotency_key=str(customer.pk))
        hits += hint_and_kill(customer, workers, dice)
    finish(workers)

    for customer in customers:
        assert Subscription.objects.tier_of(customer.user_id) == "free"
        assert trail_and_mails(customer) == (["pro", "free"], Counter(upgraded=1, downgraded=1))
    assert Counter(WebhookEvent.objects.values_list("state", flat=True)).keys() == {"done"}
    with capsys.disabled():
        print(f" [{hits} of {KILLS} kills in the middle of a refresh]", end="")
    assert hits >= FEWEST_HITS


def hint_and_kill(customer: Customer, workers: Workers, dice: random.Random) -> int:
    """How many kills hit a worker at work: one that has a customer's row locked."""
    for kind in ("invoice.paid", "customer.subscription.updated"):
        hint = event(kind, customer.stripe_id)
        for _ in range(2):
            inbox.record(hint, text_of(hint))
    hits = 0
    for at_work in AT_WORK:
        pid = workers.start()
        if at_work:
            until(lambda: somebody_asks_stripe() or all_done(), "a worker is at it")
        time.sleep(dice.uniform(0, LONGEST_WORK if at_work else LONGEST_LIFE))
        with transaction.atomic():
            free = Customer.objects.select_for_update(skip_locked=True, no_key=True)
            hits += len(free.values_list("pk")) < Customer.objects.count()
        workers.kill(pid)
    return hits
