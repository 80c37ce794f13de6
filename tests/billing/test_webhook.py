"""The webhook keeps what Stripe signed, once, and nothing else; no input makes it fail."""

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
import stripe
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings

from billing.models import Subscription
from billing.payments import inbox
from billing.payments.models import Customer, WebhookEvent
from tests.billing.fake_stripe import FakeStripe, event, subscription, text_of

SECRET = "whsec_of_the_tests"
PATH = "/billing/webhook/"


def signed(body: str, secret: str = SECRET, at: int | None = None) -> str:
    header: str = stripe.WebhookSignature.generate_signature_header(body, secret, at)
    return header


def post(body: str | bytes, signature: str) -> HttpResponse:
    return Client(enforce_csrf_checks=True).post(
        PATH, body, content_type="application/json", headers={"Stripe-Signature": signature}
    )


def deliver(body: str | bytes, signature: str) -> int:
    return post(body, signature).status_code


def deliver_event(found: dict[str, Any]) -> int:
    body = text_of(found)
    return deliver(body, signed(body))


GOOD = text_of(event("invoice.paid"))
NO_SECRET = "no secret of ours made this signature now"
NO_EVENT = "the body is no event"
LACKING = "the body lacks what every event has"


@dataclass(frozen=True)
class Hostile:
    """A delivery that is refused, and why.  It is signed when it is delivered, or it is too old."""

    reason: str
    body: str | bytes = GOOD
    sign: Callable[[str], str] = signed
    queries: int = 0

    def deliver(self) -> HttpResponse:
        """What it is answered."""
        body = self.body
        text = body if isinstance(body, str) else body.decode("latin-1")
        return post(body, self.sign(text))


def unlike(**changed: object) -> Hostile:
    """An event that lacks what each event has."""
    return Hostile(LACKING, text_of(event("invoice.paid", **changed)))


HOSTILE = {
    "no signature": Hostile(NO_SECRET, sign=lambda _: ""),
    "a garbled signature": Hostile(NO_SECRET, sign=lambda _: "t=now,v1"),
    "only a v0 signature": Hostile(NO_SECRET, sign=lambda body: signed(body).replace("v1=", "v0=")),
    "a signature that is not ASCII": Hostile(
        "the signature is not ASCII", sign=lambda _: f"t={int(time.time())},v1=\xe9"
    ),
    "five minutes and a second old": Hostile(
        NO_SECRET, sign=lambda body: signed(body, at=int(time.time()) - 301)
    ),
    "a year ahead": Hostile(
        "the signature is from the future",
        sign=lambda body: signed(body, at=int(time.time()) + 31_536_000),
    ),
    "another secret": Hostile(NO_SECRET, sign=lambda body: signed(body, "whsec_other")),
    "one flipped byte": Hostile(NO_SECRET, GOOD.replace("evt", "evu"), sign=lambda _: signed(GOOD)),
    "the same JSON, written again": Hostile(
        NO_SECRET, json.dumps(json.loads(GOOD), indent=1), sign=lambda _: signed(GOOD)
    ),
    "no UTF-8": Hostile(NO_SECRET, b"\xff\xfe"),
    "nothing": Hostile("the body is no JSON", ""),
    "ten megabytes": Hostile("the body is too long", "x" * 10_000_000, sign=lambda _: signed("")),
    "null": Hostile(NO_EVENT, "null"),
    "a list": Hostile(NO_EVENT, "[]"),
    "100,000 lists deep": Hostile("the body is no JSON", "[" * 100_000 + "]" * 100_000),
    "a thin event": Hostile(
        NO_EVENT, text_of(event("v1.customer.updated", object="v2.core.event"))
    ),
    "the other mode": Hostile(
        "the event is of the other mode", text_of(event("invoice.paid", livemode=True))
    ),
    "a mode that is no boolean": Hostile(
        "the event is of the other mode", text_of(event("invoice.paid", livemode="false"))
    ),
    "no id": Hostile(LACKING, text_of({"object": "event", "livemode": False})),
    "an id that is a list": unlike(id=["evt_1"]),
    "an id of 10,000 letters": unlike(id="e" * 10_000),
    "a type that is a number": unlike(type=7),
    "data that is a text": unlike(data="x"),
    "data without an object": unlike(data={}),
    "a time beyond all calendars": unlike(created=10**30),
    "a time that is a text": unlike(created="today"),
    "a NUL in the id": unlike(id="evt_\x00"),
    "a NUL in the customer": Hostile(LACKING, text_of(event("invoice.paid", "cus_\x00"))),
    "half a surrogate in the type": Hostile(LACKING, text_of(event("invoice.\ud800")), queries=1),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_stripe_did_not_sign_is_refused_and_not_kept(
    name: str, db: None, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    """And without a secret, nobody makes it ask the database."""
    hostile = HOSTILE[name]
    with django_assert_num_queries(hostile.queries):
        answer = hostile.deliver()
    assert (answer.status_code, json.loads(answer.content)) == (400, {"error": hostile.reason})
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
