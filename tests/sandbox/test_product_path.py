"""What the product itself reads of the sandbox, with its own calls."""

import datetime as dt

import pytest

from billing.payments.stripe_api import StripeApi, StripeRefused
from tests.sandbox.running import KEY, RunningSandbox
from tests.sandbox.shop import DECLINED, DECLINES_LATER, GOOD, Shop


@pytest.fixture
def api(sandbox: RunningSandbox) -> StripeApi:
    return StripeApi(key=KEY, base=sandbox.base)


@pytest.fixture
def customer(api: StripeApi) -> str:
    return api.create_customer(user_id="u1", email="a@b.example", idempotency_key="c1")


def session(api: StripeApi, shop: Shop, customer: str):
    """Half price, once."""
    price = api.create_price(
        product_id=shop.product.id,
        lookup_key="pro_month",
        cents=2999,
        currency="usd",
        interval="month",
    )
    api.create_coupon(
        coupon_id="half", name="Half", cents=1500, currency="usd", product_id=shop.product.id
    )
    return api.create_session(
        customer_id=customer,
        user_id="u1",
        price_id=price,
        coupon_id="half",
        success_url="http://localhost/done?s={CHECKOUT_SESSION_ID}",
        cancel_url="http://localhost/",
        expires_at=dt.datetime.now(dt.UTC) + dt.timedelta(minutes=31),
        idempotency_key="s1",
    )


def test_a_paid_session_is_an_active_subscription_and_a_refund_shows(
    api: StripeApi, shop: Shop, customer: str
) -> None:
    made = session(api, shop, customer)
    assert made.total_cents == 1499
    assert shop.control("pay", session=made.id, number=DECLINED)["outcome"] == "declined"
    assert shop.control("pay", session=made.id, number=GOOD)["outcome"] == "paid"
    state = api.fetch(customer, [made.id])
    (subscription,) = state.subscriptions
    assert (subscription.status, subscription.price_key) == ("active", "pro_month")
    assert (subscription.paid_cents, state.card.last_four) == (1499, "4242")
    (intent,) = subscription.invoices[0].payment_intents
    assert api.refund(intent, idempotency_key="r1") == 1499
    assert api.refund(intent, idempotency_key="r2") == 0
    assert api.fetch(customer).subscriptions[0].refunded_cents == 1499
    api.cancel_now(subscription.id, idempotency_key="x1")
    assert api.fetch(customer).subscriptions[0].status == "canceled"
    since = dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)
    (event,) = api.events_since(since, ["checkout.session.completed"])
    assert event["data"]["object"]["id"] == made.id


def test_a_card_that_declines_renewals_leaves_what_is_owed_and_when_it_is_tried(
    api: StripeApi, shop: Shop, customer: str
) -> None:
    api.credit(customer, cents=500, note="thanks", reference="r1", idempotency_key="b1")
    made = session(api, shop, customer)
    shop.control("pay", session=made.id, number=DECLINES_LATER)
    shop.advance(days=32)
    (subscription,) = api.fetch(customer).subscriptions
    invoice = subscription.invoices[0]
    assert (subscription.status, invoice.status, invoice.due_cents) == ("past_due", "open", 2999)
    assert invoice.next_attempt_at == subscription.period_starts_at + dt.timedelta(days=3)


def test_a_dispute_and_a_cancellation_show(api: StripeApi, shop: Shop, customer: str) -> None:
    made = session(api, shop, customer)
    shop.control("pay", session=made.id, number=GOOD)
    subscription = shop.v1.subscriptions.list({"customer": customer}).data[0]
    shop.control("dispute", charge=shop.charge_of(subscription).id, status="lost")
    shop.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
    (found,) = api.fetch(customer).subscriptions
    assert found.invoices[0].dispute == "lost"
    assert found.cancels_at == found.period_ends_at


def test_another_key_is_refused(sandbox: RunningSandbox) -> None:
    with pytest.raises(StripeRefused):
        StripeApi(key="sk_test_other", base=sandbox.base).fetch("cus_1")
