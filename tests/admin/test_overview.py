"""The admin's first page, and its search."""

import datetime as dt
import html
import re
from collections.abc import Callable

import pytest
from django.core.cache import cache
from django.test import Client
from pytest_django import Settings

from billing.models import GatewayProcess
from gateway.catalogue.seed import seed
from gateway.models import Deployment, ProbeResult
from tests.admin.conftest import Enter
from tests.conftest import Person


def text(response_content: bytes) -> str:
    """The page's words, each followed by one space."""
    words = re.sub(r"<[^>]+>", " ", html.unescape(response_content.decode()))
    return re.sub(r"\s+", " ", words)


@pytest.fixture
def overview(staff: Client) -> Callable[[], str]:
    return lambda: text(staff.get("/admin/").content)


def test_it_counts_the_last_24_hours_by_how_requests_ended(
    overview: Callable[[], str], bob: Person, enter: Enter
) -> None:
    enter(bob.account_id, cost_micros=1_500_000)
    enter(bob.account_id)
    enter(bob.account_id, status="failed", error_code="provider_unavailable", cost_micros=0)
    enter(bob.account_id, ago=dt.timedelta(hours=25))
    page = overview()
    assert "Requests admitted 3" in page
    assert "Tokens 150" in page
    assert "Provider cost $1.50" in page
    assert "settled 2 failed 1" in page
    assert "provider_unavailable 1" in page


def test_with_nothing_to_show_it_still_opens(overview: Callable[[], str]) -> None:
    assert "Requests admitted 0" in overview()


def test_it_shows_which_processes_beat(overview: Callable[[], str]) -> None:
    now = dt.datetime.now(dt.UTC)
    GatewayProcess.objects.create(host="web-1", pid=1)
    GatewayProcess.objects.create(host="web-2", pid=2, heartbeat_at=now - dt.timedelta(minutes=2))
    GatewayProcess.objects.create(host="web-3", pid=3, ended_at=now)
    page = overview()
    assert "web-1:1 live" in page
    assert "web-2:2 silent" in page
    assert "web-3" not in page


def test_it_shows_whether_deployments_are_usable_and_answer(
    overview: Callable[[], str], settings: Settings
) -> None:
    settings.PROVIDER_VARIABLES = {"DEMO_MODEL_URL": "http://127.0.0.1:9/v1"}
    seed()
    demo = Deployment.objects.get(name="demo")
    ProbeResult.objects.create(deployment=demo, succeeded=True, latency_ms=87)
    page = overview()
    assert "demo usable 87 ms" in page
    assert "deepseek not set: DEEPSEEK_API_KEY –" in page


def test_staff_see_only_what_they_may_view(
    helper: Callable[..., Client], bob: Person, enter: Enter
) -> None:
    enter(bob.account_id)
    page = text(helper("view_user").get("/admin/").content)
    assert "Requests admitted" not in page
    assert "Gateway processes" not in page


@pytest.fixture
def search() -> Callable[[Client, str], str]:
    cache.clear()
    return lambda browser, term: text(
        browser.get("/admin/search/", {"s": term, "extended": 1}).content
    )


def test_search_finds_a_request_by_its_id(
    staff: Client, bob: Person, enter: Enter, search: Callable[[Client, str], str]
) -> None:
    row = enter(bob.account_id)
    assert f"{row.request_id}" in search(staff, row.request_id)
    assert "Ledger: settled" in search(staff, row.request_id)


def test_search_finds_a_user_by_how_the_address_begins(
    staff: Client, bob: Person, search: Callable[[Client, str], str]
) -> None:
    assert "bob@example.com" in search(staff, "Bob@")


def test_search_finds_a_token_by_how_it_begins(
    staff: Client, bob: Person, search: Callable[[Client, str], str]
) -> None:
    found = search(staff, bob.secret)
    assert "Token of bob@example.com" in found
    assert bob.secret not in found


def test_search_finds_nothing_that_its_user_may_not_view(
    helper: Callable[..., Client], bob: Person, search: Callable[[Client, str], str]
) -> None:
    assert "bob@example.com" not in search(helper("view_plan"), "bob@")
