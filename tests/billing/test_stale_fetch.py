"""Two workers and one customer: whoever asked Stripe first never has the last word."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from django.db import connection

from billing.models import Subscription
from billing.payments.fulfilment import Refreshed, refresh
from billing.payments.models import Customer, OutgoingMail, TierChange
from billing.payments.states import CustomerState
from billing.payments.stripe_api import StripeApi
from tests.billing.fake_stripe import FakeStripe, subscription
from tests.billing.shop import Shop
from tests.faults.stripe_gate import StripeGate
from tests.stripe_sandbox import KEY, StripeSandbox

PATIENCE = 20.0


class SlowStripe(FakeStripe):
    """The first fetch has its answer, and comes back with it when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.answered, self.go = threading.Event(), threading.Event()

    def fetch(self, customer_id: str, session_ids: Sequence[str] = ()) -> CustomerState:
        found = super().fetch(customer_id, session_ids)
        if not self.answered.is_set():
            self.answered.set()
            assert self.go.wait(PATIENCE)
        return found


Start = Callable[[], Future[Refreshed | None]]


@pytest.fixture
def slow() -> SlowStripe:
    return SlowStripe()


@pytest.fixture
def worker(transactional_db: None, customer: Customer, slow: SlowStripe) -> Iterator[Start]:
    """Starts a worker that refreshes the customer."""

    def work() -> Refreshed | None:
        try:
            return refresh(customer.pk, slow)
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as threads:
        yield lambda: threads.submit(work)
        slow.go.set()


def await_somebody_at_the_lock() -> None:
    waiting = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"
    end = time.monotonic() + PATIENCE
    with connection.cursor() as cursor:
        while not cursor.execute(waiting).fetchone()[0]:
            assert time.monotonic() < end
            time.sleep(0.005)


@pytest.mark.parametrize(("before", "after"), [("active", "canceled"), ("canceled", "active")])
def test_the_newer_state_wins_over_a_worker_that_is_held_with_an_older_one(
    before: str, after: str, worker: Start, customer: Customer, slow: SlowStripe
) -> None:
    slow.set("cus_1", subscription(before))
    first = worker()
    assert slow.answered.wait(PATIENCE)
    slow.set("cus_1", subscription(after))
    second = worker()
    await_somebody_at_the_lock()
    # The second one has not asked yet: it would know no more than the first if it had.
    assert slow.fetches == 1
    slow.go.set()
    assert first.result(PATIENCE) is not None
    assert second.result(PATIENCE) is not None
    tier = "pro" if after == "active" else "free"
    assert Subscription.objects.tier_of(customer.user_id) == tier
    trail = list(TierChange.objects.order_by("id").values_list("after", flat=True))
    assert trail == (["pro", "free"] if before == "active" else ["pro"])
    assert OutgoingMail.objects.count() == len(trail)


def test_of_two_workers_that_find_the_same_one_writes(
    worker: Start, customer: Customer, slow: SlowStripe
) -> None:
    slow.set("cus_1", subscription())
    first = worker()
    assert slow.answered.wait(PATIENCE)
    second = worker()
    await_somebody_at_the_lock()
    slow.go.set()
    changed = [one.result(PATIENCE) for one in (first, second)]
    assert [one.changed for one in changed if one] == [True, False]
    assert TierChange.objects.count() == OutgoingMail.objects.count() == 1


def test_a_session_is_asked_for_before_the_subscriptions_that_it_may_have_come_to(
    running_sandbox: StripeSandbox, transactional_db: None
) -> None:
    """Paid in between, it would else be complete and have come to nothing: "this is over"."""
    customer = Shop(running_sandbox).customer()
    with StripeGate(running_sandbox.base) as gate:
        StripeApi(key=KEY, base=gate.base).fetch(customer.stripe_id or "", ["cs_gone"])
        asked = [call.partition("?")[0].split("/v1/")[1] for call in gate.calls]
    assert asked.index("checkout/sessions/cs_gone") < asked.index("subscriptions")
