"""`/docs/api/`: every operation, readable and to be tried."""

from django.contrib.staticfiles import finders
from playwright.sync_api import Page, expect

from tests.e2e.conftest import NARROW, NewPage, create_token, sign_up

_FILES = ("swagger-ui.css", "swagger-ui-bundle.js")


def test_its_files_are_in_the_wheel_that_is_pinned() -> None:
    for name in _FILES:
        assert finders.find(f"drf_spectacular_sidecar/swagger-ui-dist/{name}"), name


def operation(page: Page, name: str) -> str:
    return f"#operations [id$='-{name}']"


def test_every_operation_is_shown(new_page: NewPage) -> None:
    page = new_page()
    page.goto("/docs/")
    page.get_by_role("link", name="Every operation").click()

    description = page.request.get("/openapi.json").json()
    expect(page.locator("#operations .opblock")).to_have_count(
        sum(len(methods) for methods in description["paths"].values())
    )
    page.locator(operation(page, "createChatCompletion")).locator("button").first.click()
    expect(page.get_by_text("OpenAI's chat completions.")).to_be_visible()


def test_one_is_tried_with_ones_own_token(new_page: NewPage) -> None:
    page = new_page()
    sign_up(page)
    secret = create_token(page)
    page.goto("/docs/api/")
    page.get_by_role("button", name="Authorize").first.click()
    page.locator(".auth-container input").first.fill(secret)
    page.locator(".auth-btn-wrapper button[type=submit]").first.click()
    page.locator(".btn-done").first.click()

    key = page.locator(operation(page, "getKey"))
    key.locator("button").first.click()
    key.get_by_role("button", name="Try it out").click()
    key.get_by_role("button", name="Execute").click()
    expect(key.locator(".live-responses-table")).to_contain_text('"plan": "free"')


def test_the_page_does_not_scroll_sideways_on_a_small_screen(new_page: NewPage) -> None:
    page = new_page(viewport=NARROW)
    page.goto("/docs/api/")
    expect(page.locator("#operations .opblock").first).to_be_visible()

    widths = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert widths[0] <= widths[1]
