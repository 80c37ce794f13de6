"""The try-it box while it streams, when it is stopped, and when there is nothing left."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import NARROW, NewPage, Picture
from tests.gateway_server import GatewayServer

SEND = re.compile("^Try it")


def test_the_box_is_above_the_fold_on_the_smallest_screen(
    new_page: NewPage, picture: Picture
) -> None:
    page = new_page(viewport=NARROW)
    page.goto("/")
    picture(page, "landing-320")

    expect(page.get_by_role("button", name=SEND)).to_be_in_viewport(ratio=1)
    expect(page.get_by_label("Your prompt")).to_be_in_viewport(ratio=1)


def test_words_appear_as_they_come(page: Page, site: GatewayServer) -> None:
    site.upstream.script(stall=3)
    page.goto("/")
    page.get_by_role("button", name=SEND).click()

    expect(page.get_by_label("Answer")).to_have_text("quick river carries")
    expect(page.get_by_role("status")).to_have_text("The answer is arriving.")
    expect(page.locator("#tries")).to_have_text("4 of 5 tries left this hour")


def test_stop_ends_the_request_upstream_and_keeps_what_had_come(
    page: Page, site: GatewayServer
) -> None:
    site.upstream.script(stall=3)
    page.goto("/")
    page.get_by_role("button", name=SEND).click()
    expect(page.get_by_label("Answer")).to_have_text("quick river carries")

    page.get_by_role("button", name="Stop").click()

    expect(page.get_by_text("Stopped. What had arrived counts as one request.")).to_be_visible()
    expect(page.get_by_label("Answer")).to_have_text("quick river carries")
    expect(page.get_by_role("button", name=SEND)).to_be_visible()
    site.upstream.wait_until(lambda double: double.open_calls() == 0)
    [call] = site.upstream.log()
    assert call["outcome"] == "disconnected"


def test_a_reload_keeps_prompt_and_answer(page: Page) -> None:
    page.goto("/")
    page.get_by_label("Your prompt").fill("Name a river")
    page.get_by_role("button", name=SEND).click()
    expect(page.locator("#shown")).to_contain_text("s to first token")

    page.reload()

    expect(page.get_by_label("Your prompt")).to_have_value("Name a river")
    expect(page.get_by_label("Answer")).to_contain_text("quick river")


def test_the_same_call_in_curl_is_one_click_away(page: Page) -> None:
    page.goto("/")
    page.get_by_role("button", name=SEND).click()
    page.get_by_text("Same call in curl").click()

    expect(page.locator("#shown pre")).to_contain_text("/api/v1/free/completion")
    expect(page.locator("#shown").get_by_role("button", name="Copy: curl")).to_be_visible()


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_out_of_tries_prompt_and_answer_stay_and_sign_up_carries_them_over(
    new_page: NewPage, picture: Picture, scripts: bool
) -> None:
    page = new_page(java_script_enabled=scripts)
    page.goto("/")
    for left in range(4, -1, -1):
        page.get_by_role("button", name=SEND).click()
        said = f"{left} of 5 tries left" if left else "No tries left"
        expect(page.locator("#tries")).to_contain_text(said)
        expect(page.locator("#shown")).to_contain_text("s to first token")

    page.get_by_label("Your prompt").fill("One more")
    page.get_by_role("button", name=SEND).click()

    notice = page.get_by_role("alert")
    expect(notice).to_contain_text("You have used all 5 of this hour’s requests.")
    expect(notice).to_contain_text("your time" if scripts else "UTC")
    expect(page.get_by_label("Your prompt")).to_have_value("One more")
    expect(page.get_by_label("Answer")).to_contain_text("quick river")
    if scripts:
        picture(page, "landing-limit-reached")

    notice.get_by_role("link", name="Create a free account").click()
    page.wait_for_url("**/signup/")


def test_when_the_connection_breaks_it_says_so(page: Page, site: GatewayServer) -> None:
    page.goto("/")
    page.context.set_offline(True)
    page.get_by_role("button", name=SEND).click()

    expect(page.get_by_text("The connection broke.")).to_be_visible()
    expect(page.get_by_role("button", name=SEND)).to_be_visible()


def test_when_no_model_answers_it_says_so(page: Page, site: GatewayServer) -> None:
    site.upstream.script(fault="500")
    page.goto("/")
    page.get_by_role("button", name=SEND).click()

    expect(page.get_by_text("No model could answer just now.")).to_be_visible()
    expect(page.locator("#tries")).to_have_text("5 of 5 tries left this hour")


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_a_thumb_is_kept_and_shown_and_may_be_changed(
    new_page: NewPage, site: GatewayServer, scripts: bool
) -> None:
    page = new_page(java_script_enabled=scripts)
    page.goto("/")
    page.get_by_role("button", name=SEND).click()
    for thumb in ("Good", "Bad"):
        page.get_by_role("button", name=thumb, exact=True).click()
        pressed = page.locator('.thumbs [aria-pressed="true"]')
        expect(pressed).to_have_text(thumb)
        expect(page.locator(".thumbs")).to_contain_text("Thank you.")

    if scripts:
        expect(pressed).to_be_focused()
        page.reload()
    expect(page.locator('.thumbs [aria-pressed="true"]')).to_have_text("Bad")
    expect(page.get_by_label("Answer")).to_contain_text("quick river")
    query = "SELECT up FROM gateway_rating ORDER BY rated_at DESC LIMIT 1"
    assert site.sql(query) == [(False,)]
