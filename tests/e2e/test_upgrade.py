"""Upgrading as a person does it, in a browser, on the sandbox's pages and ours."""

import time
from typing import Final

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import NARROW, NewPage, Picture, create_token, sign_up
from tests.gateway_server import GatewayServer
from tests.stripe_sandbox import DECLINED, GOOD

AUTHENTICATE: Final = "4000002500003155"
_PATIENCE: Final = 30.0
_ACTS_WITHIN: Final = 1.0
"""Seconds from the entitlement to the new limits: a promise, not a measure of speed."""
_EVENTS_DONE: Final = """
SELECT count(*) FROM billing_webhookevent e
  JOIN billing_customer k ON k.stripe_id = e.customer_stripe_id
  JOIN accounts_user u ON u.id = k.user_id WHERE u.email = %s
HAVING count(*) >= 3 AND bool_and(e.state = 'done')
"""
_UPGRADE_MAILS: Final = """
SELECT count(*) FROM billing_outgoingmail m JOIN accounts_user u ON u.id = m.user_id
 WHERE u.email = %s AND m.kind = 'upgraded'
"""


def tier_of(site: GatewayServer, email: str) -> str:
    """What the user's payments give them now."""
    rows = site.sql(
        "SELECT s.tier FROM billing_subscription s JOIN accounts_user u ON u.id = s.user_id"
        " WHERE u.email = %s AND s.source = 'stripe' AND (s.ends_at IS NULL OR s.ends_at > now())",
        (email,),
    )
    return str(rows[0][0]) if rows else "free"


def go_to_checkout(page: Page, button: str = "Upgrade for $14.99") -> None:
    """From the pricing page to the page where a card is typed in."""
    page.goto("/pricing/")
    page.get_by_role("button", name=button).click()
    expect(page.get_by_text("no money moves")).to_be_visible()


def pay(page: Page, number: str = GOOD, cents: str = "$14.99") -> None:
    """Types in a card and presses the button."""
    page.get_by_label("Card number").fill(number)
    page.get_by_label("Expiry").fill("12/40")
    page.get_by_label("CVC").fill("123")
    page.get_by_role("button", name=f"Pay {cents}").click()


def on_pro(page: Page) -> None:
    expect(page.get_by_role("heading", name="You are on Pro")).to_be_visible()


def limit_of(site: GatewayServer, secret: str) -> str:
    """The plan that a program's next call is served on."""
    answer = httpx.get(
        f"{site.base_url}/v1/key", headers={"Authorization": f"Bearer {secret}"}, timeout=10
    )
    return str(answer.json()["plan"])


def wait_for_tier(site: GatewayServer, email: str) -> None:
    """Until what is paid gives pro, whatever page is open."""
    waited_since = time.monotonic()
    while tier_of(site, email) != "pro":
        assert time.monotonic() - waited_since < _PATIENCE
        time.sleep(0.02)


def assert_next_calls_are_pro(site: GatewayServer, email: str, secret: str) -> None:
    """From a second after the entitlement on every call with the old token is on pro.

    Each on a connection of its own, so that all web processes are met.
    """
    ((entitled,),) = site.sql(
        "SELECT extract(epoch FROM s.updated_at)::float8 FROM billing_subscription s"
        " JOIN accounts_user u ON u.id = s.user_id WHERE u.email = %s AND s.source = 'stripe'",
        (email,),
    )
    time.sleep(max(0.0, float(entitled) + _ACTS_WITHIN - time.time()))
    body = {"model": "scalix-free", "messages": [{"role": "user", "content": "Hello"}]}
    for _ in range(20):
        answer = httpx.post(
            f"{site.base_url}/v1/chat/completions",
            json=body,
            headers={"Authorization": f"Bearer {secret}"},
            timeout=10,
        )
        assert (answer.status_code, answer.headers["x-scalix-plan"]) == (200, "pro")
        assert "x-ratelimit-limit-requests" not in answer.headers


def test_a_good_card_upgrades_and_the_token_stays(
    page: Page, site: GatewayServer, picture: Picture
) -> None:
    email = sign_up(page)
    secret = create_token(page)
    assert limit_of(site, secret) == "free"
    page.goto("/pricing/")
    picture(page, "pricing")
    go_to_checkout(page)
    picture(page, "sandbox-checkout")
    pay(page)

    wait_for_tier(site, email)
    assert_next_calls_are_pro(site, email, secret)
    on_pro(page)
    picture(page, "upgraded")
    page.goto("/billing/")
    expect(page.get_by_text("Visa ending in 4242")).to_be_visible()
    picture(page, "billing")


def test_a_declined_card_upgrades_nobody_and_another_card_does(
    page: Page, site: GatewayServer
) -> None:
    email = sign_up(page)
    go_to_checkout(page)
    pay(page, DECLINED)
    expect(page.get_by_text("Your card was declined.")).to_be_visible()
    assert tier_of(site, email) == "free"

    pay(page)

    on_pro(page)


def test_a_bank_that_asks_is_answered(page: Page, site: GatewayServer) -> None:
    email = sign_up(page)
    go_to_checkout(page)
    pay(page, AUTHENTICATE)
    page.get_by_role("button", name="Fail").click()
    expect(page.get_by_text("We are unable to authenticate")).to_be_visible()
    assert tier_of(site, email) == "free"

    pay(page, AUTHENTICATE)
    page.get_by_role("button", name="Complete").click()

    on_pro(page)


def test_who_leaves_the_card_page_is_charged_nothing_and_finds_it_again(
    page: Page, site: GatewayServer
) -> None:
    email = sign_up(page)
    go_to_checkout(page)
    card_page = page.url
    page.get_by_role("link", name="Back").click()
    expect(page.get_by_role("heading", name="Pricing")).to_be_visible()

    go_to_checkout(page)

    assert page.url == card_page
    assert tier_of(site, email) == "free"


def test_a_double_click_makes_one_session(page: Page, site: GatewayServer) -> None:
    email = sign_up(page)
    page.goto("/pricing/")
    page.get_by_role("button", name="Upgrade for $14.99").dblclick()
    expect(page.get_by_text("no money moves")).to_be_visible()
    pay(page)
    on_pro(page)

    assert sessions_of(site, email) == [("complete",)]


def sessions_of(site: GatewayServer, email: str) -> list[tuple[str, ...]]:
    return site.sql(
        "SELECT c.state FROM billing_checkout c JOIN billing_customer k ON k.id = c.customer_id"
        " JOIN accounts_user u ON u.id = k.user_id WHERE u.email = %s",
        (email,),
    )


def test_back_and_reload_after_paying_charge_nothing_again(page: Page, site: GatewayServer) -> None:
    email = sign_up(page)
    go_to_checkout(page)
    card_page = page.url
    pay(page)
    on_pro(page)

    page.reload()
    on_pro(page)
    page.goto(card_page)
    expect(page.get_by_role("button", name="Pay")).to_have_count(0)
    page.goto("/pricing/")
    expect(page.get_by_role("link", name="Manage your plan")).to_be_visible()
    assert sessions_of(site, email) == [("complete",)]


def test_going_back_to_the_card_page_after_paying_pays_nothing_again(
    page: Page, site: GatewayServer
) -> None:
    email = sign_up(page)
    go_to_checkout(page)
    pay(page)
    on_pro(page)

    page.go_back()
    page.go_back()
    if page.get_by_role("button", name="Pay").count():  # as the browser had kept it
        pay(page)
    page.goto("/billing/")
    expect(page.get_by_text("Visa ending in 4242")).to_be_visible()
    assert sessions_of(site, email) == [("complete",)]
    assert subscriptions_of(site, email) == 1


def subscriptions_of(site: GatewayServer, email: str) -> int:
    """How often the user was put on pro."""
    rows = site.sql(
        "SELECT 1 FROM billing_tierchange t JOIN accounts_user u ON u.id = t.user_id"
        " WHERE u.email = %s AND t.after = 'pro'",
        (email,),
    )
    return len(rows)


def test_two_tabs_on_one_card_page_pay_once(page: Page, site: GatewayServer) -> None:
    email = sign_up(page)
    go_to_checkout(page)
    other = page.context.new_page()
    other.goto(page.url)
    pay(page)
    on_pro(page)

    pay(other)

    expect(other.get_by_role("button", name="Pay")).to_have_count(0)
    assert sessions_of(site, email) == [("complete",)]
    assert subscriptions_of(site, email) == 1


def test_of_two_card_pages_the_older_one_is_closed(page: Page, site: GatewayServer) -> None:
    email = sign_up(page)
    go_to_checkout(page)
    other = page.context.new_page()
    go_to_checkout(other, "Upgrade for $287.90")

    pay(page)

    expect(page.get_by_text("expired")).to_be_visible()
    assert tier_of(site, email) == "free"
    pay(other, cents="$287.90")
    on_pro(other)
    assert sorted(sessions_of(site, email)) == [("complete",), ("expired",)]


def test_who_leaves_at_the_bank_s_question_pays_nothing_and_can_begin_again(
    page: Page, site: GatewayServer
) -> None:
    email = sign_up(page)
    go_to_checkout(page)
    pay(page, AUTHENTICATE)
    expect(page.get_by_role("button", name="Complete")).to_be_visible()

    page.goto("/billing/")

    assert tier_of(site, email) == "free"
    go_to_checkout(page)
    pay(page)
    on_pro(page)


def test_the_address_that_paying_leads_to_gives_nothing_by_itself(
    page: Page, site: GatewayServer
) -> None:
    email = sign_up(page)
    go_to_checkout(page)
    session_id = page.url.rpartition("/")[2]

    page.goto(f"/billing/return/?session_id={session_id}")

    expect(page.get_by_role("heading", name="You are on Pro")).to_have_count(0)
    assert tier_of(site, email) == "free"
    assert subscriptions_of(site, email) == 0


def test_two_tabs_pay_once(page: Page, site: GatewayServer) -> None:
    email = sign_up(page)
    go_to_checkout(page)
    other = page.context.new_page()
    other.goto("/pricing/")
    pay(page)
    on_pro(page)

    other.get_by_role("button", name="Upgrade for $287.90").click()

    expect(other.get_by_role("heading", name="Billing")).to_be_visible()
    expect(other.get_by_text("You have a subscription already.")).to_be_visible()
    assert sessions_of(site, email) == [("complete",)]


def test_a_late_webhook_keeps_nobody_waiting(page: Page, site: GatewayServer) -> None:
    email = sign_up(page)
    with site.stripe_deliveries_held():
        go_to_checkout(page)
        pay(page)
        on_pro(page)

    assert tier_of(site, email) == "pro"
    waited_since = time.monotonic()
    while not site.sql(_EVENTS_DONE, (email,)):
        assert time.monotonic() - waited_since < _PATIENCE
        time.sleep(0.05)
    assert subscriptions_of(site, email) == 1
    assert site.sql(_UPGRADE_MAILS, (email,)) == [(1,)]


def test_a_closed_browser_still_upgrades(page: Page, site: GatewayServer) -> None:
    email = sign_up(page)
    go_to_checkout(page)
    session_id = page.url.rpartition("/")[2]
    page.close()
    site.stripe("pay", session=session_id, number=GOOD)

    waited_since = time.monotonic()
    while tier_of(site, email) != "pro":
        assert time.monotonic() - waited_since < _PATIENCE


def test_cancelling_and_resuming_in_the_portal(
    page: Page, site: GatewayServer, picture: Picture
) -> None:
    email = sign_up(page)
    go_to_checkout(page)
    pay(page)
    on_pro(page)

    page.goto("/billing/")
    page.get_by_role("button", name="Change card or plan").click()
    expect(page.get_by_role("heading", name="Your subscription")).to_be_visible()
    picture(page, "sandbox-portal")
    page.get_by_role("link", name="Cancel subscription").click()
    page.get_by_role("button", name="Cancel subscription").click()
    expect(page.get_by_text("does not renew")).to_be_visible()
    page.goto("/billing/")
    wait_for_text(page, "Cancelled; Pro ends on")
    assert tier_of(site, email) == "pro"

    page.get_by_role("button", name="Resume, or see invoices").click()
    page.get_by_role("button", name="Don’t cancel").click()
    expect(page.get_by_text("does not renew")).to_have_count(0)
    page.goto("/billing/")
    wait_for_text(page, "Renews on")


def wait_for_text(page: Page, text: str) -> None:
    """Reloads until the worker has heard of it."""
    waited_since = time.monotonic()
    while page.get_by_text(text).count() == 0:
        assert time.monotonic() - waited_since < _PATIENCE, page.content()
        page.reload()


@pytest.mark.parametrize("scripts", [True, False])
def test_it_works_on_a_narrow_screen_with_and_without_scripts(
    new_page: NewPage, site: GatewayServer, scripts: bool
) -> None:
    page = new_page(viewport=NARROW, java_script_enabled=scripts)
    sign_up(page)
    go_to_checkout(page, "Upgrade for $287.90")
    pay(page, cents="$287.90")

    on_pro(page)
