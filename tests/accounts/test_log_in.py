"""Logging in and out."""

import pytest
from django.test import Client

from tests.conftest import Person
from tests.pages.reading import Elements, source, words

PASSWORD = "correct horse battery"


def log_in(browser: Client, email: str, password: str = PASSWORD, query: str = "") -> object:
    """The response to the filled form."""
    return browser.post(f"/login/{query}", {"login": email, "password": password})


def test_the_form_is_one_that_password_managers_fill_in(browser: Client) -> None:
    fields = Elements(source(browser.get("/login/"))).all("input")
    by_name = {field.get("name"): field for field in fields}

    assert by_name["login"]["autocomplete"] == "username"
    assert by_name["password"]["autocomplete"] == "current-password"


def test_the_right_password_leads_to_the_dashboard(browser: Client, bob: Person) -> None:
    response = log_in(browser, bob.user.email.upper())

    assert (response.status_code, response["location"]) == (302, "/dashboard/")


def test_somebody_who_was_on_the_way_elsewhere_gets_there(browser: Client, bob: Person) -> None:
    page = browser.get("/login/?next=/tokens/")
    hidden = {field["name"]: field["value"] for field in Elements(source(page)).all("input")
              if field.get("type") == "hidden"}  # fmt: skip
    form = {"login": bob.user.email, "password": PASSWORD, "next": hidden["next"]}

    assert browser.post("/login/", form)["location"] == "/tokens/"


def test_nobody_is_sent_to_another_site(browser: Client, bob: Person) -> None:
    response = log_in(browser, bob.user.email, query="?next=https://elsewhere.example/")

    assert response["location"] == "/dashboard/"


def test_a_wrong_password_and_an_unknown_address_get_the_same_reply(
    browser: Client, bob: Person
) -> None:
    wrong = words(log_in(browser, bob.user.email, "wrong"))
    unknown = words(log_in(browser, "nobody@example.com", "wrong"))

    assert "The e-mail address or the password is not right." in wrong
    assert wrong == unknown


def test_a_suspended_account_is_told_so_once_the_password_is_right(
    browser: Client, charlie: Person
) -> None:
    response = log_in(browser, charlie.user.email)

    assert response["location"] == "/inactive/"
    assert "This account is switched off" in words(browser.get("/inactive/"))
    assert "_auth_user_id" not in browser.session


def test_guessing_at_one_account_ends_after_five_tries(browser: Client, bob: Person) -> None:
    for _ in range(5):
        log_in(browser, bob.user.email, "wrong")

    assert "Too many attempts with a wrong password." in words(log_in(browser, bob.user.email))


@pytest.mark.usefixtures("one_window")
def test_too_many_log_ins_from_one_address_are_a_429_that_says_so(browser: Client) -> None:
    for number in range(30):
        log_in(browser, f"somebody-{number}@example.com", "wrong")

    page = log_in(browser, "one-more@example.com", "wrong")

    assert page.status_code == 429
    assert "That was too often" in words(page)


@pytest.mark.parametrize("address", ["/login/", "/signup/"])
def test_who_is_logged_in_goes_straight_on(browser: Client, bob: Person, address: str) -> None:
    browser.force_login(bob.user)

    assert browser.get(address)["location"] == "/dashboard/"


def test_logging_out_takes_a_post(browser: Client, bob: Person) -> None:
    browser.force_login(bob.user)

    assert "Log out?" in words(browser.get("/logout/"))
    assert "_auth_user_id" in browser.session
    assert browser.post("/logout/")["location"] == "/"
    assert "_auth_user_id" not in browser.session
