"""The upgrade's whole path, with the product's own calls."""

import datetime as dt

import pytest
import requests

from billing.payments.stripe_api import StripeApi, StripeRefused

KEY = "sk_test_only"


def _session(api: StripeApi, customer: str):
    product = api.v1.products.create({"name": "Pro"})
    price = api.v1.prices.create(
        {
            "product": product.id,
            "currency": "usd",
            "unit_amount": 2999,
            "recurring": {"interval": "month"},
            "lookup_key": "pro_month",
        }
    )
    coupon = api.v1.coupons.create({"id": "half", "percent_off": 50, "duration": "once"})
    return api.create_session(
        customer_id=customer,
        user_id="u1",
        price_id=price.id,
        coupon_id=coupon.id,
        success_url="http://localhost/done?s={CHECKOUT_SESSION_ID}",
        cancel_url="http://localhost/",
        expires_at=dt.datetime.now(dt.UTC) + dt.timedelta(minutes=31),
        idempotency_key="s1",
    )


def _pay(base: str, session: str, number: str) -> dict:
    asked = {"session": session, "number": number}
    headers = {"Authorization": f"Bearer {KEY}"}
    return requests.post(f"{base}/sandbox/pay", json=asked, headers=headers, timeout=10).json()


def test_a_paid_session_is_an_active_subscription_and_a_refund_shows(sandbox_base):
    api = StripeApi(key=KEY, base=sandbox_base)
    customer = api.create_customer(user_id="u1", email="a@b.example", idempotency_key="c1")
    again = api.create_customer(user_id="u1", email="a@b.example", idempotency_key="c1")
    session = _session(api, customer)
    assert (again, session.total_cents) == (customer, 1499)
    assert _pay(sandbox_base, session.id, "4000000000000002")["outcome"] == "declined"
    assert _pay(sandbox_base, session.id, "4242424242424242")["outcome"] == "paid"
    state = api.fetch(customer, [session.id])
    (subscription,) = state.subscriptions
    assert (subscription.status, subscription.price_key) == ("active", "pro_month")
    assert (subscription.paid_cents, state.card.last_four) == (1499, "4242")
    (intent,) = subscription.invoices[0].payment_intents
    assert api.refund(intent, idempotency_key="r1") == 1499
    assert api.refund(intent, idempotency_key="r2") == 0
    api.cancel_now(subscription.id, idempotency_key="x1")
    assert api.fetch(customer).subscriptions[0].status == "canceled"
    since = dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)
    (event,) = api.events_since(since, ["checkout.session.completed"])
    assert event["data"]["object"]["id"] == session.id


def test_another_key_is_refused(sandbox_base):
    with pytest.raises(StripeRefused):
        StripeApi(key="sk_test_other", base=sandbox_base).fetch("cus_1")


def test_a_card_that_declines_renewals_leaves_the_subscription_past_due(sandbox_base):
    api = StripeApi(key=KEY, base=sandbox_base)
    customer = api.create_customer(user_id="u1", email="a@b.example", idempotency_key="c1")
    assert api.portal_url(customer_id=customer, configuration_id=None, return_url="http://x/")
    api.credit(customer, cents=500, note="thanks", idempotency_key="b1")
    session = _session(api, customer)
    _pay(sandbox_base, session.id, "4000000000000341")
    headers = {"Authorization": f"Bearer {KEY}"}
    asked = {"advance": 32 * 86400}
    requests.post(f"{sandbox_base}/sandbox/clock", json=asked, headers=headers, timeout=10)
    (subscription,) = api.fetch(customer).subscriptions
    assert (subscription.status, subscription.invoices[0].due_cents) == ("past_due", 2499)
