"""A token is seen on the page that made it, and never again."""

import pytest
from playwright.sync_api import Error, Page, expect

from tests.e2e.conftest import NewPage, Picture, create_token, sign_up


@pytest.fixture(params=[True, False], ids=["with scripts", "without scripts"])
def page(request: pytest.FixtureRequest, new_page: NewPage) -> Page:
    """Dana's browser, on her dashboard."""
    page = new_page(java_script_enabled=request.param)
    sign_up(page)
    return page


def test_shown_with_what_to_do_next(page: Page, picture: Picture) -> None:
    secret = create_token(page)

    assert secret.startswith("scalix_")
    assert len(secret) == 45
    expect(page.get_by_label("curl", exact=True)).to_contain_text(f"Bearer {secret}")
    expect(page.get_by_label("Your shell", exact=True)).to_contain_text(f"OPENAI_API_KEY={secret}")


def test_absent_after_going_on_and_back(page: Page) -> None:
    secret = create_token(page)
    page.get_by_role("link", name="to the dashboard").click()
    page.wait_for_url("**/dashboard/")

    try:
        page.go_back(wait_until="commit")
    except Error as error:
        # Nothing was kept: the browser would have to send the form again, and asks whether to.
        assert "ERR_CACHE_MISS" in str(error)  # noqa: PT017
    else:
        assert secret not in page.content()


def test_absent_after_a_reload_which_makes_no_second_token(page: Page) -> None:
    secret = create_token(page)

    page.reload()

    assert secret not in page.content()
    page.goto("/tokens/")
    expect(page.locator("tbody tr")).to_have_count(1)


def test_absent_from_the_list(page: Page) -> None:
    secret = create_token(page)
    page.get_by_role("link", name="All tokens").click()

    expect(page.locator("tbody tr")).to_contain_text(secret[:15])
    assert secret not in page.content()
