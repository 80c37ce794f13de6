"""A Checkout session's lives."""

import time
from pathlib import Path

import pytest
import stripe

from tests.sandbox.shop import AUTHENTICATE, DAY, DECLINED, GOOD, Shop


def test_a_good_card_pays_and_the_subscription_is_active(shop: Shop) -> None:
    customer = shop.customer()
    session = shop.session(customer.id, metadata={"user_id": "7"}, client_reference_id="7")
    paid = shop.control("pay", session=session.id, number=GOOD)
    assert paid["redirect"] == f"http://shop.example/done?s={session.id}"
    (subscription,) = shop.v1.subscriptions.list(
        {"customer": customer.id, "expand": ["data.default_payment_method"]}
    ).data
    assert subscription.status == "active"
    assert subscription.default_payment_method.card.last4 == "4242"
    done = shop.v1.checkout.sessions.retrieve(session.id)
    assert (done.status, done.payment_status) == ("complete", "paid")
    assert (done.subscription, done.metadata["user_id"]) == (subscription.id, "7")
    (invoice,) = shop.invoices(subscription.id)
    assert (invoice.status, invoice.amount_paid) == ("paid", 2999)
    assert shop.happened()[-3:] == [
        "invoice.payment_succeeded",
        "customer.subscription.created",
        "checkout.session.completed",
    ]


def test_the_first_payment_is_the_session_s_total_and_the_next_one_the_price(shop: Shop) -> None:
    coupon = shop.v1.coupons.create({"percent_off": 50, "duration": "once"})
    subscription = shop.subscribed(discounts=[{"coupon": coupon.id}])
    (first,) = shop.invoices(subscription.id)
    assert (first.subtotal, first.total, first.amount_paid) == (2999, 1499, 1499)
    shop.advance(days=32)
    assert shop.invoices(subscription.id)[0].amount_paid == 2999


@pytest.mark.parametrize(
    ("coupon", "total"),
    [
        ({"percent_off": 10}, 2699),
        ({"percent_off": 15}, 2549),
        ({"percent_off": 20}, 2399),
        ({"percent_off": 50}, 1499),
        ({"amount_off": 600, "currency": "usd"}, 2399),
        ({"amount_off": 9999, "currency": "usd"}, 0),
    ],
)
def test_a_coupon_takes_off_what_stripe_takes_off(shop: Shop, coupon: dict, total: int) -> None:
    made = shop.v1.coupons.create({**coupon, "duration": "once"})
    session = shop.session(shop.customer().id, discounts=[{"coupon": made.id}])
    assert session.amount_total == total


def test_a_coupon_for_another_product_is_refused(shop: Shop) -> None:
    other = shop.v1.products.create({"name": "Other"})
    coupon = shop.v1.coupons.create(
        {"percent_off": 50, "duration": "once", "applies_to": {"products": [other.id]}}
    )
    with pytest.raises(stripe.InvalidRequestError):
        shop.session(shop.customer().id, discounts=[{"coupon": coupon.id}])


def test_credit_of_the_customer_is_used_first(shop: Shop) -> None:
    customer = shop.customer()
    shop.v1.customers.balance_transactions.create(customer.id, {"amount": -600, "currency": "usd"})
    session = shop.session(customer.id)
    shop.control("pay", session=session.id, number=GOOD)
    (invoice,) = shop.v1.invoices.list({"customer": customer.id}).data
    assert (invoice.total, invoice.amount_paid) == (2999, 2399)
    assert shop.v1.customers.retrieve(customer.id).balance == 0


@pytest.mark.parametrize("number", [DECLINED, "4000000000009995"])
def test_a_declined_card_never_pays(shop: Shop, number: str) -> None:
    session = shop.session(shop.customer().id)
    events = shop.happened()
    assert shop.control("pay", session=session.id, number=number)["outcome"] == "declined"
    assert shop.v1.checkout.sessions.retrieve(session.id).status == "open"
    assert shop.v1.subscriptions.list({"status": "all"}).data == []
    assert shop.happened() == events
    assert shop.control("pay", session=session.id, number=GOOD)["outcome"] == "paid"


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"number": "4242424242424241"}, "number"),
        ({"number": "4539578763621486"}, "number"),  # right, and no test card
        ({"number": GOOD, "expiry": "01/20"}, "expiry"),
        ({"number": GOOD, "expiry": "13/40"}, "expiry"),
        ({"number": GOOD, "cvc": "12"}, "cvc"),
    ],
)
def test_what_can_t_be_a_test_card_is_refused_at_its_field(
    shop: Shop, typed: dict, field: str
) -> None:
    session = shop.session(shop.customer().id)
    refused = shop.control("pay", session=session.id, **typed)
    assert (refused["outcome"], refused["field"]) == ("declined", field)
    assert shop.v1.payment_methods.list({"customer": session.customer}).data == []


def test_3_d_secure_pays_once_it_is_approved(shop: Shop) -> None:
    session = shop.session(shop.customer().id)
    assert shop.control("pay", session=session.id, number=AUTHENTICATE)["outcome"] == "authenticate"
    assert shop.v1.subscriptions.list({"status": "all"}).data == []
    approved = shop.control("authenticate", session=session.id, approved=True)
    assert approved["outcome"] == "paid"
    assert len(shop.v1.subscriptions.list().data) == 1


def test_3_d_secure_that_fails_leaves_the_session_open(shop: Shop) -> None:
    session = shop.session(shop.customer().id)
    shop.control("pay", session=session.id, number=AUTHENTICATE)
    refused = shop.control("authenticate", session=session.id, approved=False)
    assert refused["outcome"] == "declined"
    again = shop.control("authenticate", session=session.id, approved=True)
    assert again["outcome"] == "closed"
    assert shop.v1.checkout.sessions.retrieve(session.id).status == "open"
    assert shop.v1.subscriptions.list({"status": "all"}).data == []


def test_a_paid_session_can_t_be_paid_twice(shop: Shop) -> None:
    session = shop.session(shop.customer().id)
    shop.control("pay", session=session.id, number=GOOD)
    assert shop.control("pay", session=session.id, number=GOOD)["outcome"] == "closed"
    assert len(shop.v1.subscriptions.list({"status": "all"}).data) == 1


def test_a_session_that_was_expired_can_t_be_paid(shop: Shop) -> None:
    session = shop.session(shop.customer().id)
    shop.v1.checkout.sessions.expire(session.id)
    assert shop.control("pay", session=session.id, number=GOOD)["outcome"] == "closed"
    with pytest.raises(stripe.InvalidRequestError):
        shop.v1.checkout.sessions.expire(session.id)
    assert shop.happened().count("checkout.session.expired") == 1


def test_a_session_expires_by_the_sandbox_s_clock_and_shows_what_it_was_given(shop: Shop) -> None:
    shop.advance(days=40)  # the shop's own clock does not move with it
    given = int(time.time()) + 31 * 60
    session = shop.session(shop.customer().id, expires_at=given)
    assert session.expires_at == given
    shop.advance(seconds=30 * 60)
    assert shop.v1.checkout.sessions.retrieve(session.id).status == "open"
    shop.advance(seconds=2 * 60)
    expired = shop.v1.checkout.sessions.retrieve(session.id)
    assert (expired.status, expired.url) == ("expired", None)
    assert shop.happened()[-1] == "checkout.session.expired"


@pytest.mark.parametrize("ahead", [-60, 20 * 60, 25 * 3600, 40 * DAY])
def test_a_session_ends_30_minutes_to_24_hours_ahead(shop: Shop, ahead: int) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        shop.session(shop.customer().id, expires_at=int(time.time()) + ahead)
    assert refused.value.param == "expires_at"


def test_no_card_number_is_ever_kept(shop: Shop, tmp_path: Path) -> None:
    session = shop.session(shop.customer().id)
    shop.control("pay", session=session.id, number="4539578763621486")
    shop.control("pay", session=session.id, number="5555 5555 5555 4444")
    written = b"".join(path.read_bytes() for path in tmp_path.glob("state.sqlite3*"))
    assert b"4539578763621486" not in written
    assert b"5555555555554444" not in written
    assert b"5555 5555" not in written


def test_a_parameter_that_the_api_has_dropped_is_refused_and_nothing_is_made(shop: Shop) -> None:
    customer = shop.customer().id
    with pytest.raises(stripe.InvalidRequestError) as refused:
        shop.session(customer, payment_method_types=["card"])
    assert (refused.value.code, refused.value.param) == (
        "parameter_unknown",
        "payment_method_types",
    )
    assert shop.v1.checkout.sessions.list().data == []

    shop.session(customer, allowed_payment_method_types=["card"])

    assert len(shop.v1.checkout.sessions.list().data) == 1
