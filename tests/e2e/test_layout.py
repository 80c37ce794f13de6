"""Every page on the smallest screen, at four times the size, in the dark, and to axe."""

from typing import Any, Final

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.e2e.conftest import NARROW, WIDE, NewPage, create_token, sign_up
from tests.e2e.test_upgrade import go_to_checkout, on_pro, pay
from tests.stripe_sandbox import DECLINED

FOR_ALL: Final = ("/", "/pricing/", "/docs/", "/docs/errors/", "/status/", "/no-such-page/")
FOR_STRANGERS: Final = ("/signup/", "/login/", "/password/reset/", "/confirm-email/expired/")
FOR_USERS: Final = (
    *("/dashboard/", "/tokens/", "/pricing/", "/billing/", "/billing/return/"),
    *("/account/password/", "/account/email/", "/logout/"),
)
ZOOMED: Final = {"width": 320, "height": 225}  # 1280 × 900 at 400 %
_RULES: Final = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "rules": {"target-size": {"enabled": True}},
}


def states(page: Page) -> Any:
    """Every page that a person sees, in its states, as (name, page to look at)."""
    for address in FOR_ALL + FOR_STRANGERS:
        page.goto(address)
        yield address, page
    page.goto("/")
    page.locator("#send").click()
    expect(page.locator("#shown")).to_contain_text("s to first token")
    page.get_by_text("Same call in curl").click()
    yield "an answer", page
    page.goto("/signup/")
    page.get_by_label("E-mail address").fill("nobody@example.com")
    page.get_by_label("Password", exact=True).fill("short")
    page.get_by_role("button", name="Create account").click()
    expect(page.get_by_text("too short")).to_be_visible()
    yield "a form with an error", page
    sign_up(page)
    yield "a first dashboard", page
    create_token(page, "a rather long name, as people like to give them to things")
    yield "a new token", page
    page.goto("/")
    page.locator("#send").click()
    expect(page.locator("#shown")).to_contain_text("s to first token")
    for address in FOR_USERS:
        page.goto(address)
        yield address, page
    page.goto("/tokens/")
    page.get_by_role("link", name="Revoke").click()
    expect(page.get_by_role("heading", name="Revoke")).to_be_visible()
    yield "revoking", page
    page.locator("details.menu summary").click()
    yield "the open menu", page
    yield from states_of_an_upgrade(page)


def states_of_an_upgrade(page: Page) -> Any:
    """From the price to the portal, the sandbox's pages included."""
    go_to_checkout(page)
    yield "the sandbox's card page", page
    pay(page, DECLINED)
    expect(page.get_by_text("Your card was declined.")).to_be_visible()
    yield "a declined card", page
    pay(page)
    on_pro(page)
    yield "upgraded", page
    page.goto("/billing/")
    yield "billing on pro", page
    page.get_by_role("button", name="Change card or plan").click()
    expect(page.get_by_role("heading", name="Your subscription")).to_be_visible()
    yield "the sandbox's portal", page


@pytest.mark.parametrize("size", [NARROW, ZOOMED], ids=["320 px", "400 %"])
def test_no_page_scrolls_sideways(new_page: NewPage, size: dict[str, int]) -> None:
    too_wide = []
    for name, page in states(new_page(viewport=size)):
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > size["width"]:
            too_wide.append(f"{name}: {width} px")

    assert too_wide == []


@pytest.mark.parametrize(
    ("scheme", "size"),
    [("light", WIDE), ("dark", NARROW)],
    ids=["light and wide", "dark and narrow"],
)
def test_axe_finds_nothing(new_page: NewPage, scheme: str, size: dict[str, int]) -> None:
    found = []
    page = new_page(viewport=size, color_scheme=scheme, reduced_motion="reduce")
    for name, shown in states(page):
        violations = Axe().run(shown, options=_RULES).response["violations"]
        found += [
            f"{name}: {one['id']} ({one['impact']}): {node['html'][:160]}"
            for one in violations
            for node in one["nodes"]
        ]

    assert found == []


def test_dark_is_dark(new_page: NewPage) -> None:
    shades = {}
    for scheme in ("light", "dark"):
        page = new_page(color_scheme=scheme)
        page.goto("/")
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        shades[scheme] = sum(int(part) for part in colour[4:-1].split(","))

    assert shades["light"] > 700
    assert shades["dark"] < 100


def test_the_page_is_set_in_inter_from_the_wheel(new_page: NewPage) -> None:
    page = new_page()
    page.goto("/")

    page.evaluate("document.fonts.ready.then(() => true)")
    assert page.evaluate("document.fonts.check('16px Inter')")


def test_who_wants_less_motion_gets_none(new_page: NewPage) -> None:
    page = new_page(reduced_motion="reduce")
    page.goto("/")

    assert page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"
    assert page.evaluate("getComputedStyle(document.querySelector('.btn')).transitionDuration") == (
        "0s"
    )
