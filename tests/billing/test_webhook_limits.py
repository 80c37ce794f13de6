"""What a webhook may cost, how far a clock may be off, and what happens while it can't be kept."""

import time

import pytest
from django.test import RequestFactory

from billing.payments.models import WebhookEvent
from billing.payments.webhooks import webhook
from tests.billing.fake_stripe import event, text_of
from tests.billing.test_webhook import PATH, deliver, signed


def test_a_body_that_says_it_is_too_long_is_not_even_read(
    rf: RequestFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = rf.post(PATH, b"x" * 1_000_001, content_type="application/json")
    monkeypatch.setattr(request, "_stream", None)  # reading it would raise
    answer = webhook(request)
    assert (answer.status_code, b"the body is too long" in answer.content) == (400, True)


@pytest.mark.parametrize(
    ("off", "status"),
    [(-310, 400), (-290, 200), (290, 200), (310, 400)],
    ids=["too old", "old", "ahead", "too far ahead"],
)
def test_the_clock_of_a_signature_may_be_five_minutes_off(off: int, status: int, db: None) -> None:
    body = text_of(event("invoice.paid"))
    assert deliver(body, signed(body, at=int(time.time()) + off)) == status
    assert WebhookEvent.objects.count() == (status == 200)
