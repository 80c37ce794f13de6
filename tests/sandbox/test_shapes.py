"""Objects as the API of today shows them, and every page with the word that it is a sandbox."""

from collections.abc import Iterator
from typing import Any, Final

import pytest

from billing.payments.stripe_api import API_VERSION
from tests.sandbox.shop import AUTHENTICATE, DECLINED, DECLINES_LATER, GOOD, Shop
from tests.sandbox.test_pages import Browser, bought, typed

REMOVED: Final = {
    "subscription": {"current_period_start", "current_period_end"},
    "invoice": {"subscription", "charge", "paid", "payment_intent"},
    "charge": {"invoice"},
    "payment_intent": {"invoice"},
}
"""What older versions had there; a product that reads one of these fails with Stripe itself."""


@pytest.fixture
def lived(shop: Shop) -> Shop:
    """A shop with a subscription that was renewed and refunded, and one that is past due."""
    paid = shop.subscribed()
    shop.subscribed(DECLINES_LATER)
    charge = shop.charge_of(paid)
    shop.v1.refunds.create({"payment_intent": str(charge.payment_intent)})
    shop.advance(days=32)
    return shop


def objects_in(found: Any) -> Iterator[dict[str, Any]]:
    """Every object of the API's in it, at any depth."""
    if isinstance(found, dict):
        if isinstance(found.get("object"), str):
            yield found
        for one in found.values():
            yield from objects_in(one)
    elif isinstance(found, list):
        for one in found:
            yield from objects_in(one)


def removed_in(objects: list[dict[str, Any]]) -> set[tuple[str, str]]:
    return {
        (one["object"], field)
        for one in objects
        for field in REMOVED.get(one["object"], set()) & one.keys()
    }


def test_events_have_the_product_s_version_and_nothing_that_it_has_removed(lived: Shop) -> None:
    events = [event.to_dict() for event in lived.events()]
    assert {event["api_version"] for event in events} == {API_VERSION}
    objects = list(objects_in(events))
    assert {"subscription", "invoice", "charge"} <= {one["object"] for one in objects}
    assert removed_in(objects) == set()


def test_what_is_read_has_nothing_that_the_version_has_removed(lived: Shop) -> None:
    subscriptions = lived.v1.subscriptions.list({"status": "all"}).data
    read = [
        *subscriptions,
        *(one for owner in subscriptions for one in lived.invoices(owner.id)),
        *(lived.charge_of(owner) for owner in subscriptions if owner.status == "active"),
        *lived.v1.invoice_payments.list(
            {
                "invoice": lived.invoices(subscriptions[0].id)[-1].id,
                "expand": ["data.payment.payment_intent"],
            }
        ).data,
    ]
    objects = list(objects_in([one.to_dict() for one in read]))
    assert set(REMOVED) <= {one["object"] for one in objects}
    assert removed_in(objects) == set()


def test_what_took_their_place_is_there(lived: Shop) -> None:
    for owner in lived.v1.subscriptions.list({"status": "all"}).data:
        (item,) = owner["items"].data
        assert item.current_period_end > item.current_period_start
        for invoice in lived.invoices(owner.id):
            assert invoice.parent.subscription_details.subscription == owner.id


def test_every_page_says_that_no_money_moves(shop: Shop) -> None:
    browser = Browser(shop)
    open_session = str(shop.session(shop.customer().id).url)
    question = browser.send(str(shop.session(shop.customer().id).url), **typed(AUTHENTICATE))
    paid = str(shop.session(shop.customer().id).url)
    browser.send(paid, **typed(GOOD))
    subscription, portal = bought(shop)
    browser.open(portal)
    (cancel,), (plan,) = browser.links("/cancel"), browser.links("/plan/")
    portal_question = browser.send(f"{portal}/card", **typed(AUTHENTICATE))
    pages = {
        "the card page": open_session,
        "the bank's question": question,
        "a paid page": paid,
        "the portal": portal,
        "the question before it ends": cancel,
        "another plan": plan,
        "another card": f"{portal}/card",
        "the bank's question in the portal": portal_question,
        "a page that isn't there": "/c/pay/none",
        "a portal that isn't there": "/p/session/none",
    }
    said = {name: browser.open(address) for name, address in pages.items()}
    browser.send(open_session, **typed(DECLINED))
    said["a refused card"] = browser.text
    browser.send(cancel)
    said["the portal afterwards"] = browser.open(portal)
    shop.advance(days=2)
    said["an expired page"] = browser.open(open_session)

    assert [name for name, text in said.items() if "no money moves" not in text] == []
    assert shop.subscription(subscription.id).cancel_at_period_end
