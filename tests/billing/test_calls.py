"""What our calls ask of Stripe, and what becomes of one that is lost or refused."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from billing.payments import checkout
from billing.payments.catalogue import MONTHLY
from billing.payments.models import Checkout, Customer
from billing.payments.stripe_api import StripeApi, web_api
from tests.billing.test_checkout import IDLE, begin
from tests.conftest import Person
from tests.pages.reading import words
from tests.stripe_sandbox import StripeSandbox

BEGAN, ENDS = 1_800_000_000, 1_802_592_000


class Wire:
    """Answers each path with what a test says, and remembers the forms that were sent."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.forms: list[dict[str, list[str]]] = []
        wire = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = json.dumps(wire.answers[urlsplit(self.path).path]).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                sent = self.rfile.read(int(self.headers["Content-Length"])).decode()
                wire.forms.append(parse_qs(sent))
                self.do_GET()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.api = StripeApi(
            key="sk_test_x", base=f"http://127.0.0.1:{self.server.server_port}", retries=0
        )


@pytest.fixture
def wire() -> Iterator[Wire]:
    wire = Wire()
    thread = threading.Thread(target=wire.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield wire
    wire.server.shutdown()
    thread.join()
    wire.server.server_close()


# What is asked ------------------------------------------------------------------------------


def test_a_checkout_takes_cards_and_nothing_that_is_paid_days_later(wire: Wire) -> None:
    wire.answers["/v1/checkout/sessions"] = {
        "id": "cs_1",
        "object": "checkout.session",
        "url": "http://127.0.0.1:9/",
        "amount_total": 2999,
        "expires_at": ENDS,
    }
    wire.api.create_session(
        customer_id="cus_1",
        user_id="1",
        price_id="price_1",
        coupon_id=None,
        success_url="http://testserver/",
        cancel_url="http://testserver/",
        expires_at=timezone.now(),
        idempotency_key="1",
    )

    [form] = wire.forms
    methods = {name: value for name, value in form.items() if "payment_method" in name}
    assert methods == {"allowed_payment_method_types[0]": ["card"]}


# What is read -------------------------------------------------------------------------------


def page(*found: dict[str, Any]) -> dict[str, Any]:
    return {"object": "list", "data": list(found), "has_more": False, "url": "/v1/x"}


def item(lookup_key: str, cents: int) -> dict[str, Any]:
    return {
        "id": f"si_{lookup_key}",
        "price": {"lookup_key": lookup_key, "metadata": {}, "unit_amount": cents},
        "current_period_start": BEGAN,
        "current_period_end": ENDS,
    }


def subscribed(identifier: str, *items: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": identifier,
        "object": "subscription",
        "customer": "cus_1",
        "status": "active",
        "created": BEGAN,
        "items": page(*items),
    }


@pytest.fixture
def mixed(wire: Wire) -> Wire:
    """A subscription whose second item is ours, and one that has no items."""
    wire.answers["/v1/customers/cus_1"] = {"id": "cus_1", "object": "customer", "email": None}
    wire.answers["/v1/invoices"] = page()
    wire.answers["/v1/subscriptions"] = page(
        subscribed("sub_mixed", item("support", 500), item(MONTHLY.key, 2999)),
        subscribed("sub_empty"),
    )
    return wire


def test_a_subscription_with_another_product_beside_ours_is_known_by_ours(mixed: Wire) -> None:
    [found] = mixed.api.fetch("cus_1").subscriptions

    assert (found.id, found.price_key, found.price_cents) == ("sub_mixed", MONTHLY.key, 2999)


def test_the_reconciler_passes_over_what_has_no_items_too(mixed: Wire) -> None:
    [(customer_id, found)] = mixed.api.every_subscription()

    assert (customer_id, found.id, found.price_key) == ("cus_1", "sub_mixed", MONTHLY.key)


# What is lost -------------------------------------------------------------------------------


def test_a_customer_whose_answer_was_lost_is_made_once(sandbox: StripeSandbox, bob: Person) -> None:
    def at_stripe() -> list[str]:
        found = sandbox.get("customers?limit=100&email=bob%40example.com")["data"]
        mine = str(bob.user.pk)
        return [one["id"] for one in found if one["metadata"].get("user_id") == mine]

    sandbox.control("faults", mode="drop")
    try:
        with pytest.raises(checkout.StripeBusy):
            begin(bob)
    finally:
        sandbox.control("faults", mode="ok")
    assert Customer.objects.get().stripe_id is None
    assert len(at_stripe()) == 1, "it was done, and its answer was lost"

    begin(bob)

    assert at_stripe() == [Customer.objects.get().stripe_id]


# What is refused ----------------------------------------------------------------------------


def test_no_checkout_begins_with_a_key_that_was_revoked(
    sandbox: StripeSandbox, bob: Person, settings: Settings
) -> None:
    settings.STRIPE_SECRET_KEY = "sk_test_revoked"

    with pytest.raises(checkout.StripeBusy, match="Nothing was charged"):
        checkout.begin(bob.user, MONTHLY.key, IDLE, web_api())

    assert not Checkout.objects.exists()
    assert Customer.objects.get().stripe_id is None


def test_the_portal_s_button_says_so_where_the_key_was_revoked(
    sandbox: StripeSandbox, flush: object, bob: Person, settings: Settings
) -> None:
    begin(bob)
    settings.STRIPE_SECRET_KEY = "sk_test_revoked"
    browser = Client()
    browser.force_login(bob.user)

    answer = browser.post("/billing/portal/")

    assert answer.status_code == 503
    assert "Our payment provider does not answer just now." in words(answer)
