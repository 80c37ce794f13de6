"""The webhook keeps what Stripe signed, once, and nothing else; no input makes it fail."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import stripe
from django.db import connection
from django.test import Client
from pytest_django import Settings

from billing.models import Subscription
from billing.payments import inbox
from billing.payments.models import Customer, WebhookEvent
from tests.billing.fake_stripe import FakeStripe, event, subscription, text_of

SECRET = "whsec_of_the_tests"
PATH = "/billing/webhook/"


def signed(body: str, secret: str = SECRET, at: int | None = None) -> str:
    header: str = stripe.WebhookSignature.generate_signature_header(body, secret, at)
    return header


def deliver(body: str | bytes, signature: str) -> int:
    response = Client(enforce_csrf_checks=True).post(
        PATH, body, content_type="application/json", headers={"Stripe-Signature": signature}
    )
    return response.status_code


def deliver_event(found: dict[str, Any]) -> int:
    body = text_of(found)
    return deliver(body, signed(body))


GOOD = text_of(event("invoice.paid"))
DEEP = "[" * 100_000 + "]" * 100_000
NOW = int(time.time())

HOSTILE: dict[str, tuple[str | bytes, str]] = {
    "no signature": (GOOD, ""),
    "a garbled signature": (GOOD, "t=now,v1"),
    "only a v0 signature": (GOOD, signed(GOOD).replace("v1=", "v0=")),
    "a signature that is not ASCII": (GOOD, f"t={NOW},v1=\xe9"),
    "five minutes and a second old": (GOOD, signed(GOOD, at=NOW - 301)),
    "a year ahead": (GOOD, signed(GOOD, at=NOW + 31_536_000)),
    "another secret": (GOOD, signed(GOOD, "whsec_other")),
    "one flipped byte": (GOOD.replace("evt", "evu"), signed(GOOD)),
    "the same JSON, written again": (json.dumps(json.loads(GOOD), indent=1), signed(GOOD)),
    "no UTF-8": (b"\xff\xfe", signed("x")),
    "nothing": ("", signed("")),
    "ten megabytes": ("x" * 10_000_000, signed("x" * 10_000_000)),
    "null": ("null", signed("null")),
    "a list": ("[]", signed("[]")),
    "100,000 lists deep": (DEEP, signed(DEEP)),
    **{
        name: (text_of(body), signed(text_of(body)))
        for name, body in {
            "a thin event": event("v1.customer.updated", object="v2.core.event"),
            "the other mode": event("invoice.paid", livemode=True),
            "a mode that is no boolean": event("invoice.paid", livemode="false"),
            "no id": {"object": "event", "livemode": False},
            "an id that is a list": event("invoice.paid", id=["evt_1"]),
            "an id of 10,000 letters": event("invoice.paid", id="e" * 10_000),
            "a type that is a number": event("invoice.paid", type=7),
            "data that is a text": event("invoice.paid", data="x"),
            "data without an object": event("invoice.paid", data={}),
            "a time beyond all calendars": event("invoice.paid", created=10**30),
            "a time that is a text": event("invoice.paid", created="today"),
            "a NUL in the id": event("invoice.paid", id="evt_\x00"),
            "a NUL in the customer": event("invoice.paid", "cus_\x00"),
            "half a surrogate in the type": event("invoice.\ud800"),
        }.items()
    },
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_stripe_did_not_sign_is_refused_and_not_kept(name: str, db: None) -> None:
    assert deliver(*HOSTILE[name]) == 400
    assert not WebhookEvent.objects.exists()


def test_it_can_only_be_posted_to(db: None) -> None:
    assert Client().get(PATH).status_code == 405


@pytest.mark.parametrize(
    "found",
    [event("moon.landed"), event("invoice.paid", "cus_nobody"), event("balance.available", None)],
    ids=["an unknown type", "an unknown customer", "no customer"],
)
def test_what_is_about_nobody_is_kept_and_does_nothing(
    found: dict[str, Any], customer: Customer, stripe_double: FakeStripe
) -> None:
    assert deliver_event(found) == 200
    inbox.drain(stripe_double)
    assert WebhookEvent.objects.exclude(state="pending").count() == 1
    assert Subscription.objects.tier_of(customer.user_id) == "free"


def test_an_event_of_another_version_counts_and_raises_an_alarm(
    customer: Customer, stripe_double: FakeStripe, caplog: pytest.LogCaptureFixture
) -> None:
    stripe_double.set("cus_1", subscription())
    assert deliver_event(event("invoice.paid", api_version="2020-08-27")) == 200
    assert "2020-08-27" in caplog.text
    inbox.drain(stripe_double)
    assert WebhookEvent.objects.get().foreign_version
    assert Subscription.objects.tier_of(customer.user_id) == "pro"


@pytest.mark.parametrize("secret", ["whsec_new", "whsec_old"])
def test_while_a_secret_is_rotated_both_are_good(secret: str, db: None, settings: Settings) -> None:
    settings.STRIPE_WEBHOOK_SECRETS = ["whsec_new", "whsec_old"]
    assert deliver(GOOD, signed(GOOD, secret)) == 200


def test_twenty_deliveries_at_once_are_one_event_and_one_effect(
    transactional_db: None, customer: Customer, stripe_double: FakeStripe
) -> None:
    stripe_double.set("cus_1", subscription())
    found = event("customer.subscription.created")

    def delivered(_: int) -> int:
        try:
            return deliver_event(found)
        finally:
            connection.close()

    with ThreadPoolExecutor(20) as threads:
        assert list(threads.map(delivered, range(20))) == [200] * 20
    inbox.drain(stripe_double)
    assert WebhookEvent.objects.count() == 1
    assert customer.user.tier_changes.count() == 1


def test_last_month_s_event_gives_nothing_after_a_cancellation(
    customer: Customer, stripe_double: FakeStripe
) -> None:
    paid = event("invoice.paid")
    stripe_double.set("cus_1", subscription())
    deliver_event(paid)
    inbox.drain(stripe_double)
    stripe_double.set("cus_1", subscription("canceled"))
    deliver_event(event("customer.subscription.deleted"))
    inbox.drain(stripe_double)
    assert deliver_event(paid) == 200
    assert deliver_event({**paid, "id": "evt_again"}) == 200
    inbox.drain(stripe_double)
    assert Subscription.objects.tier_of(customer.user_id) == "free"
    assert [change.after for change in customer.user.tier_changes.order_by("id")] == ["pro", "free"]
