"""The ledger's page: everything is found there, and nothing is changed."""

import datetime as dt
import html
import re
import uuid
from collections.abc import Callable

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from accounts.identifiers import encode, uuid7
from accounts.models import Visitor
from billing.models import LedgerEntry
from tests.admin.conftest import Enter
from tests.conftest import Person

LIST = "/admin/billing/ledgerentry/"


def found(staff: Client, **query: str) -> set[str]:
    """The request ids that the list shows."""
    return set(re.findall(r"req_[0-9A-Z]{26}", staff.get(LIST, query).content.decode()))


def test_a_request_id_finds_its_row_and_no_other(staff: Client, bob: Person, enter: Enter) -> None:
    row, _ = enter(bob.account_id), enter(bob.account_id)
    assert found(staff, q=row.request_id) == {row.request_id}
    assert found(staff, q=f"  {row.request_id.lower()} ") == {row.request_id}


def test_an_address_finds_its_accounts_rows(
    staff: Client, bob: Person, alice: Person, enter: Enter
) -> None:
    row, _ = enter(bob.account_id), enter(alice.account_id)
    assert found(staff, q="BOB@example.com") == {row.request_id}
    assert found(staff, q=str(bob.account_id)) == {row.request_id}


@pytest.mark.parametrize("nonsense", ["req_123", "nobody@example.com", "hello"])
def test_what_is_neither_finds_nothing(
    staff: Client, bob: Person, enter: Enter, nonsense: str
) -> None:
    enter(bob.account_id)
    assert found(staff, q=nonsense) == set()


def test_rows_are_filtered_by_how_they_ended(staff: Client, bob: Person, enter: Enter) -> None:
    enter(bob.account_id)
    failed = enter(bob.account_id, status="failed", charged=False)
    assert found(staff, status__exact="failed") == {failed.request_id}


def test_rows_are_filtered_by_utc_day(staff: Client, bob: Person, enter: Enter) -> None:
    midnight = dt.datetime.now(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    since_midnight = dt.datetime.now(dt.UTC) - midnight
    today = enter(bob.account_id)
    yesterday = enter(bob.account_id, ago=since_midnight + dt.timedelta(minutes=1))
    assert found(staff, day="0") == {today.request_id}
    assert found(staff, day="1") == {yesterday.request_id}
    assert found(staff, day="7") == {today.request_id, yesterday.request_id}
    assert found(staff) == {today.request_id, yesterday.request_id}


def test_the_newest_comes_first(staff: Client, bob: Person, enter: Enter) -> None:
    old = enter(bob.account_id, ago=dt.timedelta(hours=2))
    new = enter(bob.account_id)
    page = staff.get(LIST).content.decode()
    assert page.index(new.request_id) < page.index(old.request_id)


def test_a_user_is_named_by_address_and_a_visitor_as_one(
    staff: Client, bob: Person, enter: Enter
) -> None:
    visitor = Visitor.objects.create(ip="203.0.113.7")
    enter(bob.account_id)
    enter(visitor.pk, tier="visitor")
    page = staff.get(LIST).content.decode()
    assert f'href="/admin/accounts/user/{bob.account_id}/change/">bob@example.com' in page
    assert f'href="/admin/accounts/visitor/{visitor.pk}/change/">visitor' in page


def test_a_row_shows_what_it_cost_and_each_attempt(
    staff: Client, bob: Person, enter: Enter
) -> None:
    row = enter(
        bob.account_id,
        cost_micros=150,
        price_micros=2_500_000,
        attempts=[{"deployment": "gemini-flash", "outcome": "provider_unavailable"}],
    )
    page = html.unescape(staff.get(f"{LIST}{row.pk}/change/").content.decode())
    for text in (row.request_id, "$0.000150", "$2.500000", '"outcome": "provider_unavailable"'):
        assert text in page


def test_a_deleted_accounts_row_still_has_a_page(staff: Client, enter: Enter) -> None:
    gone = uuid7()
    row = enter(gone)
    assert str(gone) in staff.get(f"{LIST}{row.pk}/change/").content.decode()


def test_not_even_a_superuser_adds_changes_or_deletes_rows(
    staff: Client, bob: Person, enter: Enter
) -> None:
    row = enter(bob.account_id)
    before = LedgerEntry.objects.filter(pk=row.pk).values().get()
    change = reverse("admin:billing_ledgerentry_change", args=(row.pk,))
    delete = reverse("admin:billing_ledgerentry_delete", args=(row.pk,))
    assert staff.get(f"{LIST}add/").status_code == 403
    assert staff.post(f"{LIST}add/", {"model": "gpt-4"}).status_code == 403
    assert staff.post(change, {"prompt_tokens": 1}).status_code == 403
    assert staff.post(delete, {"post": "yes"}).status_code == 403
    staff.post(LIST, {"action": "delete_selected", "_selected_action": str(row.pk)})
    assert LedgerEntry.objects.filter(pk=row.pk).values().get() == before


def test_an_unknown_row_is_not_found(staff: Client) -> None:
    page = staff.get(f"{LIST}{uuid.uuid4()}/change/", follow=True).content.decode()
    assert "doesn’t exist" in html.unescape(page)


def test_the_request_id_is_the_rows_key(bob: Person, enter: Enter) -> None:
    row = enter(bob.account_id)
    assert row.request_id == encode("req", row.pk)


def _reasoned(reason: str) -> dict[str, str]:
    """The dialog's form, sent."""
    return {"_form_submitted": "on", "reason": reason}


class TestTakingBack:
    """A request that should not have been charged."""

    def test_staff_take_a_request_back_with_a_reason(
        self, staff: Client, bob: Person, enter: Enter
    ) -> None:
        row = enter(bob.account_id)
        action = reverse("admin:billing_ledgerentry_take_back", args=(row.pk,))
        assert action in staff.get(f"{LIST}{row.pk}/change/").content.decode()

        staff.post(action, _reasoned("Our provider answered nonsense."))

        [correction] = LedgerEntry.objects.filter(corrects=row.pk)
        assert (correction.requests, correction.completion_tokens) == (-1, -30)
        entry = LogEntry.objects.get()
        assert entry.object_id == str(row.pk)
        assert "Our provider answered nonsense." in entry.change_message
        page = html.unescape(staff.get(f"{LIST}{row.pk}/change/").content.decode())
        assert f"{LIST}{correction.pk}/change/" in page
        page = html.unescape(staff.get(f"{LIST}{correction.pk}/change/").content.decode())
        assert row.request_id in page
        assert "Our provider answered nonsense." in page

    def test_nothing_is_taken_back_without_a_reason_or_twice(
        self, staff: Client, bob: Person, enter: Enter
    ) -> None:
        row = enter(bob.account_id)
        action = reverse("admin:billing_ledgerentry_take_back", args=(row.pk,))
        staff.post(action, _reasoned(" "))
        assert not LedgerEntry.objects.filter(corrects=row.pk).exists()
        for _ in range(2):
            staff.post(action, _reasoned("Once."))
        assert LedgerEntry.objects.filter(corrects=row.pk).count() == 1
        assert LogEntry.objects.count() == 1
        assert "taken back before" in staff.get(LIST).content.decode()

    def test_it_is_offered_only_for_what_was_charged_and_to_whom_may_change_it(
        self, staff: Client, helper: Callable[..., Client], bob: Person, enter: Enter
    ) -> None:
        charged = enter(bob.account_id)
        failed = enter(bob.account_id, status="failed", charged=False)
        running = enter(bob.account_id, status="reserved", ended_at=None)
        reader = helper("view_ledgerentry")
        for browser, row in ((staff, failed), (staff, running), (reader, charged)):
            action = reverse("admin:billing_ledgerentry_take_back", args=(row.pk,))
            assert action not in browser.get(f"{LIST}{row.pk}/change/").content.decode()
            browser.post(action, _reasoned("In vain."))
        assert not LedgerEntry.objects.filter(status="correction").exists()
        assert not LogEntry.objects.exists()
