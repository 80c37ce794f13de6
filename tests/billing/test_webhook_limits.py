"""What a webhook may cost, how far a clock may be off, and what happens while it can't be kept."""

import time
from collections.abc import Callable
from typing import Final

import pytest

from billing.payments.models import WebhookEvent
from tests.billing.fake_stripe import event, text_of
from tests.billing.test_webhook import HOSTILE, deliver, signed

MOST: Final = 0.05
"""Seconds of the processor, at most, for whatever is refused."""


def cheapest_of(times: int, act: Callable[[], object]) -> float:
    """Seconds of the processor in this thread: another process's work doesn't count."""

    def cost() -> float:
        before = time.thread_time()
        act()
        return time.thread_time() - before

    return min(cost() for _ in range(times))


@pytest.mark.parametrize("name", HOSTILE)
def test_refusing_costs_next_to_nothing(name: str, db: None) -> None:
    """So that nobody slows the product down by what they need no secret for."""
    assert cheapest_of(5, lambda: deliver(*HOSTILE[name])) < MOST
    assert not WebhookEvent.objects.exists()


@pytest.mark.parametrize(
    ("off", "status"),
    [(-310, 400), (-290, 200), (290, 200), (310, 400)],
    ids=["too old", "old", "ahead", "too far ahead"],
)
def test_the_clock_of_a_signature_may_be_five_minutes_off(off: int, status: int, db: None) -> None:
    body = text_of(event("invoice.paid"))
    assert deliver(body, signed(body, at=int(time.time()) + off)) == status
    assert WebhookEvent.objects.count() == (status == 200)
