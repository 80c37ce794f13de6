"""Checkout's pages and the portal, as a browser without scripts uses them."""

import html
import re
from typing import Any

import pytest
import requests
import stripe

from tests.sandbox.shop import AUTHENTICATE, DECLINED, DECLINES_LATER, GOOD, Shop

REAL = "4539578763621486"
EVERYTHING = {
    "invoice_history": {"enabled": True},
    "payment_method_update": {"enabled": True},
    "subscription_cancel": {"enabled": True, "mode": "at_period_end"},
    "subscription_update": {"enabled": True, "default_allowed_updates": ["price"]},
}


class Browser:
    """Follows links and sends forms; stays on the sandbox's pages."""

    def __init__(self, shop: Shop) -> None:
        self._base = shop.base
        self.answer = requests.Response()

    def open(self, address: str) -> str:
        """The page's text."""
        self.answer = requests.get(self._absolute(address), allow_redirects=False, timeout=10)
        return self.text

    def send(self, address: str, **fields: str) -> str:
        """Sends a form; where it leads to, or nothing for a page."""
        self.answer = requests.post(
            self._absolute(address), data=fields, allow_redirects=False, timeout=10
        )
        return self.answer.headers.get("Location", "")

    @property
    def text(self) -> str:
        """What can be read."""
        plain = re.sub(r"<style.*?</style>|<[^>]+>", " ", self.answer.text, flags=re.DOTALL)
        return " ".join(html.unescape(plain).split())

    def links(self, part: str) -> list[str]:
        """The addresses of links and forms that have this part."""
        found = re.findall(r'(?:href|action)="([^"]+)"', self.answer.text)
        return [html.unescape(one) for one in found if part in one]

    def _absolute(self, address: str) -> str:
        return address if address.startswith("http") else self._base + address


@pytest.fixture
def browser(shop: Shop) -> Browser:
    return Browser(shop)


def typed(number: str = GOOD, **more: str) -> dict[str, str]:
    return {"number": number, "expiry": "12/34", "cvc": "737", **more}


def bought(shop: Shop, number: str = GOOD) -> tuple[stripe.Subscription, str]:
    """A subscription, and the address of its customer's portal."""
    subscription = shop.subscribed(number)
    return subscription, shop.portal(str(subscription.customer))


# Checkout -----------------------------------------------------------------------------------


def test_the_page_says_what_is_paid_now_and_later(shop: Shop, browser: Browser) -> None:
    coupon = shop.v1.coupons.create({"percent_off": 50, "duration": "once", "name": "First month"})
    session = shop.session(shop.customer().id, discounts=[{"coupon": coupon.id}])
    text = browser.open(str(session.url))
    assert "Sandbox: no money moves." in text
    assert "alice@example.com" in text
    assert "Pro $29.99 First month −$15.00 Total due today $14.99" in text
    assert "$14.99 today, then $29.99 a month" in text
    assert browser.links("pricing") == ["http://shop.example/pricing"]


def test_names_are_shown_as_text_and_never_as_markup(shop: Shop, browser: Browser) -> None:
    shop.v1.products.update(shop.product.id, {"name": "<script>alert(1)</script>"})
    browser.open(str(shop.session(shop.customer().id).url))
    assert "<script" not in browser.answer.text


def test_a_page_runs_no_script_and_leads_back_to_the_shop_only(
    shop: Shop, browser: Browser
) -> None:
    browser.open(str(shop.session(shop.customer().id).url))
    policy = browser.answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert policy.endswith("form-action 'self' http://shop.example")
    assert browser.answer.headers["Cache-Control"] == "no-store"


def test_a_good_card_leads_to_the_success_page(shop: Shop, browser: Browser) -> None:
    session = shop.session(shop.customer().id)
    address = str(session.url)
    assert browser.send(address, **typed()) == f"http://shop.example/done?s={session.id}"
    assert browser.answer.status_code == 303
    text = browser.open(address)
    assert (browser.answer.status_code, "This has been paid." in text) == (200, True)
    assert browser.links("done") == [f"http://shop.example/done?s={session.id}"]


def test_a_declined_card_is_said_at_its_field_and_only_the_cvc_is_asked_again(
    shop: Shop, browser: Browser
) -> None:
    session = shop.session(shop.customer().id)
    assert browser.send(str(session.url), **typed(DECLINED)) == ""
    assert browser.answer.status_code == 422
    page = browser.answer.text
    assert 'aria-invalid="true" aria-describedby="number-error"' in page
    assert "Your card was declined." in page
    assert (DECLINED in page, "12/34" in page, "737" in page) == (True, True, False)
    assert shop.v1.subscriptions.list({"status": "all"}).data == []


@pytest.mark.parametrize("fields", [{}, {"number": GOOD}, typed(REAL), {"number": "\0"}])
def test_what_is_missing_or_wrong_is_asked_for_again(
    shop: Shop, browser: Browser, fields: dict[str, str]
) -> None:
    session = shop.session(shop.customer().id)
    assert browser.send(str(session.url), **fields) == ""
    assert browser.answer.status_code == 422
    assert 'role="alert"' in browser.answer.text


def test_a_test_card_s_button_fills_it_in(shop: Shop, browser: Browser) -> None:
    session = shop.session(shop.customer().id)
    browser.open(f"{session.url}?card=later")
    assert 'value="4000 0000 0000 0341"' in browser.answer.text
    browser.open(f"{session.url}?card=none")
    assert browser.answer.status_code == 200


@pytest.mark.parametrize(("answer", "paid"), [("complete", True), ("fail", False), ("", False)])
def test_the_bank_s_question_decides(shop: Shop, browser: Browser, answer: str, paid: bool) -> None:
    session = shop.session(shop.customer().id)
    question = browser.send(str(session.url), **typed(AUTHENTICATE))
    assert question == f"/c/auth/{session.id}"
    assert "pays $29.99?" in browser.open(question)
    leads_to = browser.send(question, answer=answer)
    assert len(shop.v1.subscriptions.list().data) == paid
    if paid:
        assert leads_to == f"http://shop.example/done?s={session.id}"
    else:
        assert "unable to authenticate" in browser.open(leads_to)


def test_an_expired_page_says_so_and_leads_back(shop: Shop, browser: Browser) -> None:
    session = shop.session(shop.customer().id)
    shop.advance(days=2)
    for path in ("pay", "auth"):
        text = browser.open(f"/c/{path}/{session.id}")
        assert (browser.answer.status_code, "expired" in text) == (410, True)
        assert browser.links("pricing") == ["http://shop.example/pricing"]
        browser.send(f"/c/{path}/{session.id}", **typed(), answer="complete")
        assert browser.answer.status_code == 410
    assert shop.v1.subscriptions.list({"status": "all"}).data == []


@pytest.mark.parametrize(
    "path", ["/c/pay/none", "/c/auth/none", "/p/session/none", "/p/session/none/card", "/c/pay/%ff"]
)
def test_a_page_that_nobody_was_given_is_not_there(browser: Browser, path: str) -> None:
    assert "does not exist" in browser.open(path)
    assert browser.answer.status_code == 404
    browser.send(path, **typed())
    assert browser.answer.status_code in (404, 405)


# The portal ---------------------------------------------------------------------------------


def test_the_portal_shows_plan_card_and_invoices(shop: Shop, browser: Browser) -> None:
    _, portal = bought(shop)
    text = browser.open(portal)
    assert "Sandbox: no money moves." in text
    assert "$29.99 a month It renews on" in text
    assert "Visa ending in 4242" in text
    assert re.search(r"Invoices Date Status Amount \d+ \w+ \d{4} paid \$29.99", text)
    assert browser.links("billing") == ["http://shop.example/billing"]


def test_a_customer_cancels_after_a_question_and_resumes(shop: Shop, browser: Browser) -> None:
    subscription, portal = bought(shop)
    browser.open(portal)
    (question,) = browser.links("/cancel")
    assert "does not renew then" in browser.open(question)
    assert not shop.subscription(subscription.id).cancel_at_period_end
    browser.open(browser.send(question))
    assert "does not renew" in browser.text
    assert shop.subscription(subscription.id).cancel_at_period_end
    (resume,) = browser.links("/resume")
    browser.open(browser.send(resume))
    assert "It renews on" in browser.text
    assert not shop.subscription(subscription.id).cancel_at_period_end


def test_a_customer_sees_what_another_plan_costs_before_it_is_charged(
    shop: Shop, browser: Browser
) -> None:
    subscription, portal = bought(shop)
    browser.open(portal)
    (plan,) = browser.links("/plan/")
    text = browser.open(plan)
    assert "Unused time on the monthly plan −$29.99" in text
    assert "The annual plan $287.90 Charged now $257.91" in text
    assert len(shop.invoices(subscription.id)) == 1
    browser.open(browser.send(plan))
    assert "Your plan was changed." in browser.text
    assert shop.invoices(subscription.id)[0].amount_paid == pytest.approx(25791, abs=1)
    browser.open(portal)
    (plan,) = browser.links("/plan/")
    assert "Charged now $0.00" in browser.open(plan)


def test_a_plan_that_the_bank_refuses_is_not_changed(shop: Shop, browser: Browser) -> None:
    subscription, portal = bought(shop, DECLINES_LATER)
    browser.open(portal)
    (plan,) = browser.links("/plan/")
    browser.send(plan)
    assert browser.answer.status_code == 422
    assert "Your card was declined. Your plan has not changed." in browser.text
    assert shop.subscription(subscription.id)["items"].data[0].price.id == shop.monthly.id
    assert len(shop.invoices(subscription.id)) == 1


def test_another_card_pays_what_is_owed(shop: Shop, browser: Browser) -> None:
    subscription, portal = bought(shop, DECLINES_LATER)
    shop.advance(days=32)
    assert "$29.99 could not be charged" in browser.open(portal)
    assert "next attempt" in browser.text
    (card,) = browser.links("/card")
    browser.send(card, **typed(DECLINED))
    assert browser.answer.status_code == 422
    assert shop.subscription(subscription.id).status == "past_due"
    browser.open(browser.send(card, **typed("5555555555554444")))
    assert "Mastercard ending in 4444" in browser.text
    assert shop.subscription(subscription.id).status == "active"
    assert shop.invoices(subscription.id)[0].status == "paid"


def test_another_card_that_is_declined_later_leaves_it_owed(shop: Shop, browser: Browser) -> None:
    subscription, portal = bought(shop, DECLINES_LATER)
    shop.advance(days=32)
    browser.open(browser.send(f"{portal}/card", **typed(DECLINES_LATER)))
    assert "the bank refused what is owed" in browser.text
    assert shop.subscription(subscription.id).status == "past_due"


@pytest.mark.parametrize(("answer", "last4"), [("complete", "3155"), ("fail", "4242")])
def test_a_card_may_ask_for_3_d_secure_in_the_portal(
    shop: Shop, browser: Browser, answer: str, last4: str
) -> None:
    _, portal = bought(shop)
    question = browser.send(f"{portal}/card", **typed(AUTHENTICATE))
    assert "is it you who uses this card?" in browser.open(question)
    browser.send(question, answer=answer)
    assert f"ending in {last4}" in browser.open(portal)


def configured(shop: Shop, customer: str, **features: Any) -> str:
    """A portal that allows everything but for these."""
    made = shop.v1.billing_portal.configurations.create({"features": {**EVERYTHING, **features}})
    return shop.portal(customer, configuration=made.id)


def test_a_configuration_can_forbid_everything(shop: Shop, browser: Browser) -> None:
    subscription = shop.subscribed()
    off = {name: {"enabled": False} for name in EVERYTHING}
    portal = configured(shop, str(subscription.customer), **off)
    text = browser.open(portal)
    assert browser.links(portal.removeprefix(shop.base)) == []
    assert "Invoices" not in text
    paths = ("cancel", "resume", f"plan/{shop.annual.id}")
    for path in (*(f"{subscription.id}/{one}" for one in paths), "card", "auth"):
        browser.send(f"{portal}/{path}", **typed())
        assert browser.answer.status_code == 404
    found = shop.subscription(subscription.id)
    assert (found.cancel_at, found.default_payment_method) == (
        None,
        subscription.default_payment_method,
    )


def test_a_configuration_can_end_subscriptions_at_once(shop: Shop, browser: Browser) -> None:
    subscription = shop.subscribed()
    now = {"enabled": True, "mode": "immediately"}
    portal = configured(shop, str(subscription.customer), subscription_cancel=now)
    browser.open(portal)
    (question,) = browser.links("/cancel")
    assert "It ends at once." in browser.open(question)
    browser.open(browser.send(question))
    assert "It ended on" in browser.text
    assert shop.subscription(subscription.id).status == "canceled"


def test_only_prices_of_the_configuration_are_offered(shop: Shop, browser: Browser) -> None:
    subscription = shop.subscribed()
    dearer = shop.price(4999, "month")
    offered = {
        "enabled": True,
        "products": [{"product": shop.product.id, "prices": [shop.monthly.id, dearer.id]}],
    }
    portal = configured(shop, str(subscription.customer), subscription_update=offered)
    browser.open(portal)
    (plan,) = browser.links("/plan/")
    assert plan.endswith(dearer.id)
    browser.send(plan.replace(dearer.id, shop.annual.id))
    assert browser.answer.status_code == 404


def test_nobody_reaches_another_customer_s_subscription(shop: Shop, browser: Browser) -> None:
    theirs, _ = bought(shop)
    _, portal = bought(shop)
    for path in ("cancel", "resume", f"plan/{shop.annual.id}"):
        browser.send(f"{portal}/{theirs.id}/{path}")
        assert browser.answer.status_code == 404
    assert not shop.subscription(theirs.id).cancel_at_period_end


def test_a_customer_without_a_subscription_sees_that(shop: Shop, browser: Browser) -> None:
    portal = shop.portal(shop.customer().id)
    assert "You have no subscription." in browser.open(portal)
    assert "You have no card here." in browser.text
