"""A forgotten password, and a changed one."""

import re

import pytest
from django.core import mail
from django.test import Client

from tests.conftest import Person
from tests.pages.reading import words

NEW = "staple trombone lighthouse"


def link_in(message: mail.EmailMessage) -> str:
    """The path that a mail's link leads to."""
    [path] = re.findall(r"http://testserver(/password/reset/key/\S+/)", message.body)
    return str(path)


def ask(browser: Client, email: str) -> object:
    """The response to the filled form."""
    return browser.post("/password/reset/", {"email": email})


def test_a_known_and_an_unknown_address_get_the_same_reply(browser: Client, bob: Person) -> None:
    known, unknown = ask(browser, bob.user.email), ask(browser, "nobody@example.com")

    assert known["location"] == unknown["location"] == "/password/reset/done/"
    to_known, to_unknown = mail.outbox
    assert to_known.subject == "Set a new password"
    assert to_unknown.subject == "No account with this address"
    assert "/password/reset/key/" not in to_unknown.body


def test_the_mails_link_sets_a_new_password_once(browser: Client, bob: Person) -> None:
    ask(browser, bob.user.email)
    link = link_in(mail.outbox[0])
    form = browser.get(link)["location"]

    done = browser.post(form, {"password1": NEW, "password2": NEW})

    assert done["location"] == "/password/reset/key/done/"
    bob.user.refresh_from_db()
    assert bob.user.check_password(NEW)
    assert "This link has expired" in words(Client().get(link, follow=True))


def test_the_links_key_does_not_stay_in_the_address(browser: Client, bob: Person) -> None:
    ask(browser, bob.user.email)

    moved = browser.get(link_in(mail.outbox[0]))

    assert moved["location"].endswith("-set-password/")


def test_two_different_new_passwords_are_explained(browser: Client, bob: Person) -> None:
    ask(browser, bob.user.email)
    form = browser.get(link_in(mail.outbox[0]))["location"]

    page = browser.post(form, {"password1": NEW, "password2": "something else"})

    assert "You must type the same password each time." in words(page)
    bob.user.refresh_from_db()
    assert not bob.user.check_password(NEW)


@pytest.mark.usefixtures("one_window")
def test_too_many_resets_from_one_address_are_a_429(browser: Client) -> None:
    for number in range(10):
        ask(browser, f"somebody-{number}@example.com")

    assert ask(browser, "one-more@example.com").status_code == 429


def test_changing_it_takes_the_old_one(browser: Client, bob: Person) -> None:
    browser.force_login(bob.user)

    page = browser.post(
        "/account/password/", {"oldpassword": "wrong", "password1": NEW, "password2": NEW}
    )

    assert "That is not your current password." in words(page)
    bob.user.refresh_from_db()
    assert not bob.user.check_password(NEW)
