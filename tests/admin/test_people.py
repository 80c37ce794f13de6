"""What staff see of people and can do to them: plan and usage, suspend, revoke."""

import datetime as dt
import html
from collections.abc import Callable

import pytest
from asgiref.sync import async_to_sync
from django.contrib.admin.models import LogEntry
from django.test import Client
from pytest_django import Settings

from accounts.identity import TokenRefused, find_token_holder
from accounts.models import ApiToken, User
from accounts.postgres import ReadPool
from billing.models import Subscription
from billing.plans import PlanBook
from tests.admin.conftest import Enter
from tests.conftest import Person

USERS = "/admin/accounts/user/"
TOKENS = "/admin/accounts/apitoken/"
CONFIRMED = {"_form_submitted": "on"}


@async_to_sync
async def refusal_of(secret: str) -> str:
    """Why the token opens nothing; empty if it does."""
    pool = ReadPool(size=1)
    try:
        await find_token_holder(pool, secret)
    except TokenRefused as refused:
        return refused.code
    finally:
        await pool.close()
    return ""


@async_to_sync
async def tier_of(user: User) -> str:
    """The tier that the request path finds."""
    pool = ReadPool(size=1)
    try:
        plans = PlanBook(pool)
        await plans.refresh()
        return (await plans.limits_for_user(user.pk)).tier
    finally:
        await pool.close()


def test_the_list_shows_each_users_plan(staff: Client, alice: Person, bob: Person) -> None:
    def listed(**query: str) -> set[str]:
        page = staff.get(USERS, query).content.decode()
        return {name for name in ("alice", "bob", "root") if f"{name}@example.com</a>" in page}

    assert listed(plan="pro") == {"alice"}
    assert listed(plan="free") == {"bob", "root"}
    assert listed() == {"alice", "bob", "root"}


def test_a_plan_that_ended_is_listed_as_free(staff: Client, alice: Person) -> None:
    yesterday = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    Subscription.objects.filter(user=alice.user).update(ends_at=yesterday)
    assert "alice@example.com</a>" in staff.get(USERS, {"plan": "free"}).content.decode()
    assert "alice@example.com</a>" not in staff.get(USERS, {"plan": "pro"}).content.decode()


def test_a_user_is_found_by_a_part_of_the_address(
    staff: Client, alice: Person, bob: Person
) -> None:
    page = staff.get(USERS, {"q": "ALIC"}).content.decode()
    assert "alice@example.com</a>" in page
    assert "bob@example.com</a>" not in page


@pytest.mark.usefixtures("transactional_db", "flush", "within_the_hour")
def test_a_users_page_shows_what_the_counters_say(staff: Client, bob: Person, enter: Enter) -> None:
    enter(bob.account_id)
    page = staff.get(f"{USERS}{bob.account_id}/change/").content.decode()
    assert "50 of 10,000 tokens today" in page
    assert "1 of 50 requests today" in page
    assert "1 of 10 requests this hour" in page


def test_without_the_counters_the_page_still_opens(
    staff: Client, bob: Person, settings: Settings
) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:9/0"
    page = staff.get(f"{USERS}{bob.account_id}/change/")
    assert page.status_code == 200
    assert "The counters are away just now." in page.content.decode()


@pytest.mark.usefixtures("transactional_db")
class TestSuspending:
    """An account is switched off after a confirmation, and on again."""

    def test_asking_shows_a_confirmation_and_changes_nothing(
        self, staff: Client, bob: Person
    ) -> None:
        page = staff.get(f"{USERS}{bob.account_id}/suspend/").content.decode()
        assert "Suspend this account?" in page
        assert refusal_of(bob.secret) == ""

    def test_confirmed_it_ends_log_in_and_tokens(self, staff: Client, bob: Person) -> None:
        staff.post(f"{USERS}{bob.account_id}/suspend/", CONFIRMED)
        assert refusal_of(bob.secret) == "account_suspended"
        assert not Client().login(email="bob@example.com", password="correct horse battery")

    def test_it_can_be_undone(self, staff: Client, charlie: Person) -> None:
        staff.post(f"{USERS}{charlie.account_id}/reinstate/", CONFIRMED)
        assert refusal_of(charlie.secret) == ""

    def test_it_is_written_in_the_accounts_history(self, staff: Client, bob: Person) -> None:
        staff.post(f"{USERS}{bob.account_id}/suspend/", CONFIRMED)
        entry = LogEntry.objects.get(object_id=str(bob.account_id))
        assert (entry.user.email, entry.change_message) == ("root@example.com", "Suspended.")

    def test_nobody_suspends_themselves(self, staff: Client, root: User) -> None:
        assert staff.post(f"{USERS}{root.pk}/suspend/", CONFIRMED).status_code == 403
        assert User.objects.get(pk=root.pk).is_active

    def test_it_takes_the_right_to_change_users(
        self, helper: Callable[..., Client], bob: Person
    ) -> None:
        answer = helper("view_user").post(f"{USERS}{bob.account_id}/suspend/", CONFIRMED)
        assert answer.status_code == 403
        assert refusal_of(bob.secret) == ""

    def test_the_users_form_cannot_do_it_in_passing(self, staff: Client, bob: Person) -> None:
        page = staff.get(f"{USERS}{bob.account_id}/change/").content.decode()
        assert 'name="is_active"' not in page


def test_users_are_never_deleted(staff: Client, bob: Person) -> None:
    assert staff.post(f"{USERS}{bob.account_id}/delete/", {"post": "yes"}).status_code == 403
    assert User.objects.filter(pk=bob.account_id).exists()


def test_an_address_is_stored_in_lower_case(staff: Client) -> None:
    password = {"password1": "correct horse battery", "password2": "correct horse battery"}
    staff.post(f"{USERS}add/", {"email": "Dora@Example.com"} | password)
    assert User.objects.filter(email="dora@example.com").exists()


def test_who_may_edit_users_cannot_make_themselves_superuser(helper: Callable[..., Client]) -> None:
    browser = helper("view_user", "change_user")
    user = User.objects.get(email="helper@example.com")
    browser.post(
        f"{USERS}{user.pk}/change/",
        {"email": "other@example.com", "is_superuser": "on", "is_staff": "on"},
    )
    saved = User.objects.get(pk=user.pk)
    assert (saved.email, saved.is_superuser) == ("other@example.com", False)


@pytest.mark.usefixtures("transactional_db")
class TestGranting:
    """A plan is granted with an end or without one, and acts on the request path."""

    def test_a_grant_is_staffs_and_acts(self, staff: Client, bob: Person) -> None:
        grant = {"user": str(bob.account_id), "tier": "pro"}
        staff.post("/admin/billing/subscription/add/", grant)
        assert Subscription.objects.get(user=bob.user).source == "staff"
        assert tier_of(bob.user) == "pro"

    def test_it_is_granted_on_the_users_own_page(self, staff: Client, bob: Person) -> None:
        staff.post(
            f"{USERS}{bob.account_id}/change/",
            {
                "email": "bob@example.com",
                "subscriptions-TOTAL_FORMS": "1",
                "subscriptions-INITIAL_FORMS": "0",
                "subscriptions-0-tier": "pro",
                "subscriptions-0-user": str(bob.account_id),
            },
        )
        assert Subscription.objects.get(user=bob.user).source == "staff"
        assert tier_of(bob.user) == "pro"


@pytest.mark.usefixtures("transactional_db")
class TestTokens:
    """Tokens are seen by their beginning and end, and revoked after a confirmation."""

    def token(self, person: Person) -> ApiToken:
        return person.user.tokens.get()

    def test_no_page_shows_a_secret_or_its_digest(self, staff: Client, bob: Person) -> None:
        token = self.token(bob)
        for path in (TOKENS, f"{TOKENS}{token.pk}/change/"):
            page = staff.get(path).content.decode()
            assert token.display in page
            assert bob.secret not in page
            assert bytes(token.digest).hex() not in page

    def test_a_pasted_token_finds_its_row(self, staff: Client, bob: Person, alice: Person) -> None:
        page = html.unescape(staff.get(TOKENS, {"q": bob.secret}).content.decode())
        assert "bob's laptop" in page
        assert "alice's laptop" not in page

    def test_asking_to_revoke_changes_nothing(self, staff: Client, bob: Person) -> None:
        page = staff.get(f"{TOKENS}{self.token(bob).pk}/revoke/").content.decode()
        assert "Revoke this token?" in page
        assert refusal_of(bob.secret) == ""

    def test_confirmed_the_token_opens_nothing(self, staff: Client, bob: Person) -> None:
        staff.post(f"{TOKENS}{self.token(bob).pk}/revoke/", CONFIRMED)
        assert refusal_of(bob.secret) == "token_revoked"
        assert LogEntry.objects.get().change_message == "Revoked."

    def test_a_revoked_token_cannot_be_revoked_again(self, staff: Client, bob: Person) -> None:
        path = f"{TOKENS}{self.token(bob).pk}/revoke/"
        staff.post(path, CONFIRMED)
        first = self.token(bob).revoked_at
        assert staff.post(path, CONFIRMED).status_code == 403
        assert self.token(bob).revoked_at == first

    def test_staff_issue_no_tokens_here_and_delete_none(self, staff: Client, bob: Person) -> None:
        assert staff.get(f"{TOKENS}add/").status_code == 403
        assert staff.post(f"{TOKENS}{self.token(bob).pk}/delete/").status_code == 403
