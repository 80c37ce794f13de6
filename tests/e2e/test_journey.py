"""From landing to one's own request on the dashboard: by mouse, by keys, without scripts."""

import httpx
from playwright.sync_api import Locator, Page, expect

from tests.e2e.conftest import (
    NARROW,
    PASSWORD,
    NewPage,
    Picture,
    new_email,
    settle_all,
    sign_up,
)
from tests.gateway_server import GatewayServer

_TAB_STOPS = 60


def call_as_a_program(site: GatewayServer, secret: str) -> httpx.Response:
    """One completion with the token, as the snippets on the pages make it."""
    return httpx.post(
        f"{site.base_url}/v1/chat/completions",
        headers={"Authorization": f"Bearer {secret}"},
        json={"model": "scalix-free", "messages": [{"role": "user", "content": "Hello"}]},
        timeout=30,
    )


def test_by_mouse(new_page: NewPage, site: GatewayServer, picture: Picture) -> None:
    page = new_page(permissions=["clipboard-read", "clipboard-write"])
    page.goto("/")
    picture(page, "landing")

    page.get_by_role("button", name="Try it, no account needed").click()
    expect(page.get_by_label("Answer")).to_contain_text("quick river carries small boats")
    expect(page.locator("#shown")).to_contain_text("s to first token")
    expect(page.locator("#tries")).to_have_text("4 of 5 tries left this hour")
    picture(page, "landing-answer")

    page.get_by_role("link", name="Sign up").click()
    page.get_by_label("E-mail address").fill(new_email())
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    picture(page, "sign-up")
    page.get_by_role("button", name="Create account").click()

    expect(page.get_by_text("Your conversation came along")).to_be_visible()
    expect(page.get_by_text("Three steps to your first call")).to_be_visible()
    picture(page, "dashboard-first-run")

    page.get_by_role("link", name="Create it").click()
    page.get_by_label("Name").fill("laptop")
    page.get_by_role("button", name="Create token").click()
    secret = page.get_by_label("Your token", exact=True).inner_text().strip()
    page.get_by_role("button", name="Copy: Your token").click()
    expect(page.get_by_role("button", name="Copy: Your token")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == secret

    page.get_by_role("link", name="to the dashboard").click()
    assert call_as_a_program(site, secret).status_code == 200
    row = page.locator("tbody tr", has_text="laptop")
    expect(row).to_contain_text("answered")  # without a reload: the page looks again by itself
    expect(page.get_by_text("Three steps to your first call")).to_be_hidden()


def tab_to(page: Page, target: Locator) -> None:
    """Presses Tab until the target has the focus, and sees that every stop on the way shows it."""
    for _ in range(_TAB_STOPS):
        page.keyboard.press("Tab")
        ring = page.evaluate(
            "() => { const style = getComputedStyle(document.activeElement);"
            " return [style.outlineStyle, parseFloat(style.outlineWidth)]; }"
        )
        assert ring[0] != "none", "a tab stop without visible focus"
        assert ring[1] >= 2, "a tab stop without visible focus"
        if target.evaluate("(element) => element === document.activeElement"):
            return
    raise AssertionError(f"{target} can't be reached by Tab")


def test_by_keyboard_alone(new_page: NewPage, site: GatewayServer) -> None:
    page = new_page(permissions=["clipboard-read", "clipboard-write"])
    press = page.keyboard.press
    page.goto("/")
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_in_viewport()

    site.upstream.script(stall=3)
    tab_to(page, page.get_by_role("button", name="Try it, no account needed"))
    press("Enter")
    expect(page.get_by_label("Answer")).to_contain_text("quick river carries")
    expect(page.get_by_role("button", name="Stop")).to_be_focused()
    press("Enter")
    expect(page.get_by_text("Stopped.", exact=False).first).to_be_visible()
    expect(page.get_by_role("button", name="Try it, no account needed")).to_be_focused()

    settle_all(site)
    site.upstream.script()
    press("Enter")
    expect(page.locator("#shown")).to_contain_text("s to first token")

    tab_to(page, page.get_by_role("main").get_by_role("link", name="Create a free account").first)
    press("Enter")
    page.wait_for_url("**/signup/")
    tab_to(page, page.get_by_label("E-mail address"))
    page.keyboard.type(new_email())
    tab_to(page, page.get_by_label("Password", exact=True))
    page.keyboard.type(PASSWORD)
    press("Enter")

    page.wait_for_url("**/dashboard/")
    tab_to(page, page.get_by_role("link", name="Create it"))
    press("Enter")
    page.wait_for_url("**/tokens/")
    tab_to(page, page.get_by_label("Name"))
    page.keyboard.type("laptop")
    press("Enter")

    copy = page.get_by_role("button", name="Copy: Your token")
    expect(copy).to_be_visible()
    secret = page.get_by_label("Your token", exact=True).inner_text().strip()
    tab_to(page, copy)
    press("Enter")
    expect(copy).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == secret
    assert call_as_a_program(site, secret).status_code == 200

    tab_to(page, page.get_by_role("link", name="to the dashboard"))
    press("Enter")
    expect(page.locator("tbody tr", has_text="laptop")).to_contain_text("answered")


def test_the_menu_opens_and_closes_by_keys(page: Page) -> None:
    email = sign_up(page)
    menu = page.locator("details.menu")
    tab_to(page, menu.locator("summary"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Password")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="Password")).to_be_hidden()
    expect(menu.locator("summary")).to_be_focused()
    expect(menu).to_contain_text(email)


def test_without_javascript(new_page: NewPage, site: GatewayServer) -> None:
    page = new_page(java_script_enabled=False, viewport=NARROW)
    page.goto("/")
    page.get_by_role("button", name="Try it, no account needed").click()
    expect(page.get_by_label("Answer")).to_contain_text("quick river carries small boats")
    expect(page.locator("#tries")).to_have_text("4 of 5 tries left this hour")

    page.get_by_role("link", name="Sign up").click()
    page.get_by_label("E-mail address").fill(new_email())
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()
    expect(page.get_by_text("Your conversation came along")).to_be_visible()
    expect(page.get_by_text("Resets 00:00 UTC")).to_be_visible()

    page.get_by_role("link", name="Create it").click()
    page.get_by_label("Name").fill("laptop")
    page.get_by_role("button", name="Create token").click()
    secret = page.get_by_label("Your token", exact=True).inner_text().strip()
    assert call_as_a_program(site, secret).status_code == 200

    page.get_by_role("link", name="to the dashboard").click()
    expect(page.get_by_role("row").filter(has_text="laptop")).to_contain_text("answered")

    page.get_by_role("link", name="Tokens", exact=True).click()
    page.get_by_role("link", name="Revoke laptop").click()
    page.get_by_role("button", name="Revoke it").click()
    expect(page.get_by_text("The token “laptop” is revoked.")).to_be_visible()

    page.locator("details.menu summary").click()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("link", name="Log in")).to_be_visible()
