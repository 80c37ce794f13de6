"""Who comes into the admin, and who doesn't."""

import pytest
import redis
from django.test import Client

from accounts.models import User
from tests.conftest import Person

PASSWORD = "correct horse battery"


def log_in(client: Client, email: str, password: str = PASSWORD, **extra: str) -> str:
    """Where the log-in form leads, or its page's text when it is shown again."""
    response = client.post(
        "/admin/login/", {"username": email, "password": password, "next": "/admin/"} | extra
    )
    return response.headers.get("Location") or response.content.decode()


@pytest.mark.parametrize("email", ["root@example.com", "ROOT@Example.com"])
def test_staff_log_in_with_their_address_whatever_its_case(
    client: Client, root: User, email: str
) -> None:
    assert log_in(client, email) == "/admin/"
    assert client.get("/admin/").status_code == 200


def test_the_form_leads_to_the_overview_and_not_to_the_dashboard(client: Client) -> None:
    page = client.get("/admin/login/").content.decode()
    assert '<input type="hidden" name="next" value="/admin/" form="login-form">' in page


def test_the_form_leads_back_to_the_page_that_was_asked_for(client: Client) -> None:
    asked = client.get("/admin/billing/plan/")
    page = client.get(asked.headers["Location"]).content.decode()
    assert 'name="next" value="/admin/billing/plan/"' in page


def test_users_who_are_no_staff_stay_out(client: Client, bob: Person) -> None:
    assert "staff account" in log_in(client, "bob@example.com")
    assert client.get("/admin/").status_code == 302


def test_suspended_staff_stay_out(client: Client, root: User) -> None:
    User.objects.filter(pk=root.pk).update(is_active=False)
    assert "This account is inactive." in log_in(client, "root@example.com")
    assert client.get("/admin/").status_code == 302


def test_a_wrong_password_is_refused(client: Client, root: User) -> None:
    assert "staff account" in log_in(client, "root@example.com", "incorrect horse")


def test_guessing_ends_after_some_attempts_even_with_the_right_password(
    client: Client, root: User, flush: "redis.Redis"
) -> None:
    for guess in range(5):
        log_in(client, "root@example.com", f"guess {guess}")
    assert "Too many attempts with a wrong password" in log_in(client, "root@example.com")


def test_visitors_are_led_to_the_log_in(client: Client) -> None:
    asked = client.get("/admin/billing/ledgerentry/")
    assert asked.headers["Location"] == "/admin/login/?next=/admin/billing/ledgerentry/"
