"""Changing plans; each amount here was worked out by hand.

The subscriptions begin on 1 April 2027, at noon: a month of 30 days.
"""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest
import stripe

from tests.sandbox.running import RunningSandbox
from tests.sandbox.shop import DAY, Shop

BEGINS = int(dt.datetime(2027, 4, 1, 12, tzinfo=dt.UTC).timestamp())


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with RunningSandbox(tmp_path / "state.sqlite3", now=BEGINS) as running:
        yield Shop(running.base)


def switched(
    shop: Shop, subscription: stripe.Subscription, price: stripe.Price, **more: str
) -> stripe.Subscription:
    item = subscription["items"].data[0]
    return shop.v1.subscriptions.update(
        subscription.id, {"items": [{"id": item.id, "price": price.id}], **more}
    )


def days_in(shop: Shop, subscription: stripe.Subscription, days: int) -> None:
    """Moves the clock to that many days after its beginning, exactly."""
    shop.advance_to(subscription.created + days * DAY)


def amounts(shop: Shop, subscription: stripe.Subscription) -> list[int]:
    """The lines of its latest invoice."""
    return [line.amount for line in shop.invoices(subscription.id)[0].lines.data]


def test_from_monthly_to_annual_a_year_begins_now(shop: Shop) -> None:
    subscription = shop.subscribed()
    days_in(shop, subscription, 10)
    changed = switched(shop, subscription, shop.annual, proration_behavior="always_invoice")
    # 20 of 30 days of $29.99 are unused: 2999 × 20 / 30 = 1999.33.
    assert amounts(shop, changed) == pytest.approx([-1999, 28790], abs=1)
    invoice = shop.invoices(changed.id)[0]
    assert invoice.total == sum(amounts(shop, changed)) == invoice.amount_paid
    item = changed["items"].data[0]
    assert item.price.id == shop.annual.id
    begins = dt.datetime.fromtimestamp(item.current_period_start, dt.UTC)
    ends = dt.datetime.fromtimestamp(item.current_period_end, dt.UTC)
    assert ends == begins.replace(year=begins.year + 1)
    assert changed.billing_cycle_anchor == item.current_period_start


def test_what_was_half_price_is_given_back_at_half_price(shop: Shop) -> None:
    coupon = shop.v1.coupons.create({"percent_off": 50, "duration": "once"})
    subscription = shop.subscribed(discounts=[{"coupon": coupon.id}])
    days_in(shop, subscription, 15)
    changed = switched(shop, subscription, shop.annual)
    # Half of the $14.99 that were paid: 749.5.
    assert amounts(shop, changed) == pytest.approx([-750, 28790], abs=1)


def test_from_annual_to_monthly_the_rest_becomes_credit(shop: Shop) -> None:
    subscription = shop.subscribed(price=shop.annual)
    days_in(shop, subscription, 73)  # of 366: the year ends in 2028
    changed = switched(shop, subscription, shop.monthly, proration_behavior="always_invoice")
    # 28790 × 293 / 366 = 23047.73 are unused; the first month costs 2999.
    assert amounts(shop, changed) == pytest.approx([-23048, 2999], abs=1)
    invoice = shop.invoices(changed.id)[0]
    assert (invoice.status, invoice.amount_due, invoice.amount_paid) == ("paid", 0, 0)
    balance = shop.v1.customers.retrieve(str(changed.customer)).balance
    assert balance == invoice.total == pytest.approx(-20049, abs=1)
    shop.advance(days=32)
    assert shop.v1.customers.retrieve(str(changed.customer)).balance == balance + 2999
    assert shop.invoices(changed.id)[0].amount_paid == 0


def test_between_monthly_prices_both_count_for_the_rest_of_the_month(shop: Shop) -> None:
    dearer = shop.price(4999, "month")
    subscription = shop.subscribed()
    days_in(shop, subscription, 10)
    changed = switched(shop, subscription, dearer, proration_behavior="always_invoice")
    # 20 / 30 of 2999 and of 4999: 1999.33 and 3332.67.
    assert amounts(shop, changed) == pytest.approx([-1999, 3333], abs=1)
    before, after = subscription["items"].data[0], changed["items"].data[0]
    assert after.current_period_end == before.current_period_end


def test_prorations_wait_for_the_next_invoice_unless_told(shop: Shop) -> None:
    dearer = shop.price(4999, "month")
    subscription = shop.subscribed()
    days_in(shop, subscription, 10)
    changed = switched(shop, subscription, dearer)
    assert len(shop.invoices(changed.id)) == 1
    days_in(shop, subscription, 30)
    assert amounts(shop, changed) == pytest.approx([-1999, 3333, 4999], abs=1)
    days_in(shop, subscription, 62)
    assert amounts(shop, changed) == [4999]


def test_nothing_is_prorated_where_that_is_asked_for(shop: Shop) -> None:
    dearer = shop.price(4999, "month")
    subscription = shop.subscribed()
    days_in(shop, subscription, 10)
    changed = switched(shop, subscription, dearer, proration_behavior="none")
    assert len(shop.invoices(changed.id)) == 1
    days_in(shop, subscription, 30)
    assert amounts(shop, changed) == [4999]


def test_a_change_says_what_the_items_were(shop: Shop) -> None:
    subscription = shop.subscribed()
    switched(shop, subscription, shop.annual)
    event = shop.events("customer.subscription.updated")[0]
    (item,) = event.data.previous_attributes["items"]["data"]
    assert item["price"]["id"] == shop.monthly.id


def test_another_item_or_price_is_refused(shop: Shop) -> None:
    subscription = shop.subscribed()
    for item in ({"id": "si_none", "price": shop.annual.id}, {"price": shop.annual.id}):
        with pytest.raises(stripe.InvalidRequestError):
            shop.v1.subscriptions.update(subscription.id, {"items": [item]})
    item_id = subscription["items"].data[0].id
    with pytest.raises(stripe.InvalidRequestError):
        shop.v1.subscriptions.update(
            subscription.id, {"items": [{"id": item_id, "price": "price_none"}]}
        )
    assert shop.subscription(subscription.id)["items"].data[0].price.id == shop.monthly.id
