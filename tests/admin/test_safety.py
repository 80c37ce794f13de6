"""What staff see and decide of content rules and of what looks like abuse."""

import datetime as dt
import html
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from accounts.identifiers import uuid7
from accounts.models import User
from gateway.models import AbuseCase, AbuseThresholds, ContentRule
from tests.conftest import Person

RULES = "/admin/gateway/contentrule/"
CASES = "/admin/gateway/abusecase/"
THRESHOLDS = "/admin/gateway/abusethresholds/"
SUBMITTED = {"_form_submitted": "on", "note": "Looked at it."}

A_RULE = {
    "name": "Frobnication",
    "kind": "keyword",
    "text": "frobnicator",
    "explanation": "We don’t help with it.",
    "tiers": ["visitor", "free"],
    "enabled": "on",
}


def shown(staff: Client, path: str, **query: str) -> str:
    return html.unescape(staff.get(path, query).content.decode())


def a_case(**fields: Any) -> AbuseCase:
    now = dt.datetime.now(dt.UTC)
    values = {
        "level": "throttle",
        "score": 80,
        "tier": "free",
        "reasons": [{"detector": "burst", "points": 80, "text": "160 requests within a minute"}],
        "effect_until": now + dt.timedelta(hours=12),
        "judged_to": now,
    }
    return AbuseCase.objects.create(**values | fields)


# Content rules ------------------------------------------------------------------------------


def test_a_rule_is_added_for_the_tiers_that_are_ticked(staff: Client) -> None:
    assert staff.post(f"{RULES}add/", A_RULE).status_code == 302

    assert ContentRule.objects.get().tiers == ["visitor", "free"]
    assert "Visitor, Free" in shown(staff, RULES)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "pattern", "text": "("}, "can’t be searched for"),
        ({"kind": "pattern", "text": ".*"}, "matches an empty prompt"),
        ({"text": "!"}, "needs a letter or a digit"),
        ({"tiers": []}, "This field is required"),
    ],
)
def test_a_rule_that_cant_work_is_not_saved(
    staff: Client, change: dict[str, Any], said: str
) -> None:
    response = staff.post(f"{RULES}add/", A_RULE | change)

    assert said in html.unescape(response.content.decode())
    assert not ContentRule.objects.exists()


# Cases --------------------------------------------------------------------------------------


def test_the_queue_has_open_cases_first_and_appeals_before_all(staff: Client) -> None:
    now = dt.datetime.now(dt.UTC)
    a_case(address="203.0.113.1", state="dismissed", score=300)
    a_case(address="203.0.113.2", score=90)
    a_case(address="203.0.113.3", score=75, appealed_at=now, appeal="It was a test.")
    page = shown(staff, CASES)

    places = [page.index(f"203.0.113.{number}</a>") for number in (3, 2, 1)]
    assert places == sorted(places)
    assert "160 requests within a minute" in page


def test_a_case_says_whose_it_is_and_what_was_seen(staff: Client, bob: Person) -> None:
    case = a_case(account_id=bob.account_id)
    page = shown(staff, f"{CASES}{case.pk}/change/")

    assert f'href="/admin/accounts/user/{bob.account_id}/change/"' in page
    assert "80 · 160 requests within a minute" in page
    assert f"/admin/billing/ledgerentry/?q={bob.account_id}" in page


@pytest.mark.parametrize("term", ["bob@", "BOB@example.com"])
def test_a_case_is_found_by_the_users_address(staff: Client, bob: Person, term: str) -> None:
    a_case(account_id=bob.account_id)
    a_case(address="203.0.113.1")
    page = shown(staff, CASES, q=term)

    assert "bob@example.com" in page
    assert "203.0.113.1</a>" not in page


def test_a_case_is_found_by_id_and_by_network_address(staff: Client) -> None:
    account = uuid7()
    a_case(account_id=account, tier="")
    a_case(address="203.0.113.1")

    assert f"{account}</a>" in shown(staff, CASES, q=str(account))
    assert "203.0.113.1</a>" in shown(staff, CASES, q="203.0.113")
    assert "203.0.113.1</a>" not in shown(staff, CASES, q="203_0")


@pytest.mark.parametrize(
    ("action", "state", "level", "acts"),
    [
        ("dismiss", "dismissed", "throttle", False),
        ("confirm_slow", "confirmed", "throttle", True),
        ("confirm_block", "confirmed", "block", True),
        ("lift", "ended", "throttle", False),
    ],
)
def test_what_staff_decide_acts_and_is_written_down(
    staff: Client, root: User, action: str, state: str, level: str, acts: bool
) -> None:
    case = a_case(address="203.0.113.1")
    assert staff.get(f"{CASES}{case.pk}/{action}/").status_code == 200  # the dialog
    response = staff.post(f"{CASES}{case.pk}/{action}/", SUBMITTED)

    assert response["HX-Redirect"] == f"{CASES}{case.pk}/change/"
    case.refresh_from_db()
    assert (case.state, case.level, case.acts) == (state, level, acts)
    assert (case.note, case.decided_by) == ("Looked at it.", root)
    assert case.changes.get().by == root
    assert "Looked at it." in LogEntry.objects.get(object_id=str(case.pk)).change_message


def test_what_is_decided_cant_be_decided_again(staff: Client) -> None:
    case = a_case(address="203.0.113.1", state="dismissed")

    for action in ("dismiss", "confirm_block", "lift"):
        assert staff.post(f"{CASES}{case.pk}/{action}/", SUBMITTED).status_code == 403


def test_staff_who_may_only_look_decide_nothing(helper: Callable[..., Client]) -> None:
    case = a_case(address="203.0.113.1")
    browser = helper("view_abusecase")

    assert browser.get(f"{CASES}{case.pk}/change/").status_code == 200
    assert browser.post(f"{CASES}{case.pk}/dismiss/", SUBMITTED).status_code == 403
    case.refresh_from_db()
    assert case.state == "open"


# Thresholds ---------------------------------------------------------------------------------


def test_thresholds_are_one_row_that_ascends(staff: Client) -> None:
    row, _ = AbuseThresholds.objects.get_or_create(pk=1)
    values = {
        "enabled": "on", "watch": 50, "throttle": 40, "block": 90,
        "watch_hours": 24, "throttle_hours": 6, "block_hours": 24,
    }  # fmt: skip

    refused = staff.post(f"{THRESHOLDS}{row.pk}/change/", values)
    assert "must not descend" in refused.content.decode()
    assert staff.post(f"{THRESHOLDS}{row.pk}/change/", values | {"watch": 30}).status_code == 302
    row.refresh_from_db()
    assert (row.watch, row.throttle, row.throttle_hours) == (30, 40, 6)
    assert staff.get(f"{THRESHOLDS}add/").status_code == 403
