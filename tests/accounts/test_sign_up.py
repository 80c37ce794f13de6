"""Signing up: an address and a password, and the same reply whoever the address belongs to."""

import re

import pytest
from django.core import mail
from django.test import Client
from pytest_django import Settings

from accounts import visitors
from accounts.models import User, Visitor
from tests.conftest import Person
from tests.pages.reading import Elements, source, words
from tests.servers import PrivateServers

PASSWORD = "correct horse battery"


def sign_up(browser: Client, email: str = "dana@example.com", password: str = PASSWORD) -> object:
    """The response to the filled form."""
    return browser.post("/signup/", {"email": email, "password1": password})


@pytest.fixture
def mandatory(settings: Settings) -> None:
    """An address has to be confirmed before its account can be used."""
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"


def test_the_form_is_one_that_password_managers_fill_in(browser: Client) -> None:
    fields = Elements(source(browser.get("/signup/"))).all("input")
    by_name = {field.get("name"): field for field in fields}

    assert by_name["email"]["type"] == "email"
    assert by_name["email"]["autocomplete"] == "username"
    assert by_name["password1"]["autocomplete"] == "new-password"
    assert "password2" not in by_name


def test_signing_up_logs_in_and_leads_to_the_dashboard(browser: Client) -> None:
    response = sign_up(browser)

    assert (response.status_code, response["location"]) == (302, "/dashboard/")
    assert browser.session["_auth_user_id"] == str(User.objects.get().pk)


def test_the_address_is_asked_to_be_confirmed_in_a_plain_mail(browser: Client) -> None:
    sign_up(browser)

    [message] = mail.outbox
    assert message.to == ["dana@example.com"]
    assert message.subject == "Confirm your address"
    assert not message.alternatives
    assert re.search(r"^http://testserver/confirm-email/\S+/$", message.body, re.MULTILINE)


def test_a_weak_password_is_explained_beside_its_field_and_the_address_stays(
    browser: Client,
) -> None:
    page = sign_up(browser, password="short")

    assert "at least 10 characters" in words(page)
    fields = {field.get("name"): field for field in Elements(source(page)).all("input")}
    assert fields["password1"]["aria-invalid"] == "true"
    assert "id_password1_error" in (fields["password1"]["aria-describedby"] or "")
    assert fields["email"]["value"] == "dana@example.com"
    assert fields["password1"].get("value") is None
    assert not User.objects.exists()


def test_without_confirmation_a_taken_address_is_told_what_to_do(
    browser: Client, bob: Person
) -> None:
    page = sign_up(browser, bob.user.email.upper())

    assert "There is an account with this address. Log in, or reset its password." in words(page)
    assert User.objects.count() == 1


def test_with_confirmation_a_taken_address_gets_the_same_reply_as_a_new_one(
    mandatory: None, flush: object, bob: Person
) -> None:
    new, taken = Client(), Client()

    for_new, for_taken = sign_up(new), sign_up(taken, bob.user.email)

    assert for_new.status_code == for_taken.status_code == 302
    assert for_new["location"] == for_taken["location"] == "/confirm-email/"
    assert words(new.get("/confirm-email/")) == words(taken.get("/confirm-email/"))
    assert "_auth_user_id" not in new.session
    assert "_auth_user_id" not in taken.session


def test_the_owner_of_a_taken_address_is_told_by_mail(
    mandatory: None, browser: Client, bob: Person
) -> None:
    sign_up(browser, bob.user.email)

    [message] = mail.outbox
    assert message.subject == "You already have an account"
    assert "http://testserver/password/reset/" in message.body
    assert User.objects.count() == 1


def test_confirming_in_the_same_browser_logs_in(mandatory: None, browser: Client) -> None:
    sign_up(browser)
    [address] = re.findall(r"http://testserver(/confirm-email/\S+/)", mail.outbox[0].body)

    page = browser.get(address)
    assert "Confirm your address" in words(page)
    response = browser.post(address)

    assert response["location"] == "/dashboard/"
    assert "_auth_user_id" in browser.session


def test_a_confirmation_link_that_is_no_longer_good_says_what_to_do(browser: Client) -> None:
    page = browser.get("/confirm-email/some-old-key/")

    assert "This link has expired" in words(page)
    assert "Log in and we send you a new one." in words(page)


def test_a_visitor_who_signs_up_is_remembered_as_this_user(browser: Client) -> None:
    visitor = Visitor.objects.create()
    browser.cookies[visitors.COOKIE] = visitors.credential_for(visitor.pk)

    sign_up(browser)

    visitor.refresh_from_db()
    assert visitor.became == User.objects.get()


def test_the_first_to_sign_up_keeps_the_visit(browser: Client, bob: Person) -> None:
    visitor = Visitor.objects.create(became=bob.user)
    browser.cookies[visitors.COOKIE] = visitors.credential_for(visitor.pk)

    sign_up(browser)

    visitor.refresh_from_db()
    assert visitor.became == bob.user


def test_a_forged_visitor_cookie_is_ignored(browser: Client) -> None:
    visitor = Visitor.objects.create()
    genuine = visitors.credential_for(visitor.pk)
    browser.cookies[visitors.COOKIE] = genuine[:-1] + ("A" if genuine[-1] != "A" else "B")

    assert sign_up(browser).status_code == 302

    visitor.refresh_from_db()
    assert visitor.became is None


@pytest.mark.usefixtures("one_window")
def test_too_many_sign_ups_from_one_address_are_a_429_that_says_so(browser: Client) -> None:
    for _ in range(20):
        assert sign_up(browser, password="short").status_code == 200

    page = sign_up(browser)

    assert page.status_code == 429
    assert page["retry-after"] == "60"
    assert "That was too often" in words(page)
    assert not User.objects.exists()


def test_only_sending_the_form_is_counted(browser: Client) -> None:
    for _ in range(25):
        assert browser.get("/signup/").status_code == 200


def test_what_cannot_be_counted_is_not_taken(browser: Client, servers: PrivateServers) -> None:
    servers.valkey.kill()
    try:
        page = sign_up(browser)
    finally:
        servers.valkey.start()

    assert page.status_code == 503
    assert "Forms can’t be taken just now" in words(page)
    assert not User.objects.exists()
