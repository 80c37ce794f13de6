"""The admin's first page, and its search."""

import datetime as dt
import html
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from pytest_django import Settings

from accounts.identifiers import uuid7
from billing import funnel, mails
from billing.models import GatewayProcess, Subscription
from billing.payments import inbox
from billing.payments.models import (
    Customer,
    FunnelEvent,
    OutgoingMail,
    ReconcilerRun,
    WebhookEvent,
)
from gateway.catalogue.seed import seed
from gateway.models import Deployment, ProbeResult
from tests.admin.conftest import Enter
from tests.billing.fake_stripe import event, text_of
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


class TestPayments:
    """Who pays, whether it arrives, and how people come to it."""

    def pays(self, person: Person, price_key: str, **fields: Any) -> None:
        Subscription.objects.update_or_create(
            user=person.user, source="stripe", defaults={"tier": "pro"}
        )
        Customer.objects.create(
            **{
                "user": person.user,
                "mode": "sandbox",
                "status": "active",
                "price_key": price_key,
                **fields,
            }
        )

    def test_it_counts_who_pays_and_what_that_is_a_month(
        self, overview: Callable[[], str], alice: Person, bob: Person, charlie: Person
    ) -> None:
        self.pays(alice, "scalix_pro_monthly")
        self.pays(bob, "scalix_pro_monthly", status="past_due", disputed=True)
        self.pays(charlie, "scalix_pro_annual")
        page = overview()
        assert "Monthly recurring revenue $83.97" in page  # 29.99 + 29.99 + 287.90 / 12
        assert "Paying users 3" in page
        assert "Past due 1" in page
        assert "Disputes open 1" in page
        assert "$29.99 a month 2" in page
        assert "$287.90 a year 1" in page

    def test_who_pays_no_more_or_in_another_mode_does_not_count(
        self, overview: Callable[[], str], alice: Person, bob: Person, charlie: Person
    ) -> None:
        self.pays(alice, "scalix_pro_monthly", mode="live")
        self.pays(bob, "scalix_pro_monthly", status="canceled")
        self.pays(charlie, "scalix_pro_annual")
        yesterday = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
        Subscription.objects.filter(user=charlie.user).update(ends_at=yesterday)
        page = overview()
        assert "Monthly recurring revenue $0.00" in page
        assert "Paying users 0" in page

    def test_it_shows_that_all_is_well(self, overview: Callable[[], str]) -> None:
        ReconcilerRun.objects.create(mode="sandbox", ran_at=dt.datetime.now(dt.UTC))
        page = overview()
        assert "Events in the inbox 0 waiting –" in page
        assert "Reconciler runs 0 minutes ago" in page
        assert "Events of another API version 0" in page
        assert "Mails 0 not sent, 0 given up" in page

    def test_it_shows_what_does_not_run(self, overview: Callable[[], str], bob: Person) -> None:
        old = dt.datetime.now(dt.UTC) - dt.timedelta(hours=2, minutes=1)
        ReconcilerRun.objects.create(mode="sandbox", ran_at=old, error="APIConnectionError")
        found = event("invoice.paid", api_version="2020-08-27")
        inbox.record(found, text_of(found))
        WebhookEvent.objects.update(received_at=old)
        mails.owe(bob.user, "upgraded", key="1")
        mails.owe(bob.user, "upgraded", key="2")
        OutgoingMail.objects.filter(key="2").update(attempts=10)
        page = overview()
        assert "Events in the inbox 1 waiting 2 hours, 1 minute ago" in page
        assert "Reconciler APIConnectionError 2 hours, 1 minute ago" in page
        assert "Events of another API version 1" in page
        assert "Mails 2 not sent, 1 given up" in page

    def test_without_payments_it_says_that_they_are_off(
        self, overview: Callable[[], str], settings: Settings
    ) -> None:
        settings.PAYMENTS = False
        assert "Payments off" in overview()

    def test_the_funnel_counts_accounts_and_what_part_went_on(
        self, overview: Callable[[], str]
    ) -> None:
        kinds = FunnelEvent.Kind
        for number, furthest in enumerate([kinds.SHOWN, kinds.CLICKED, kinds.PAID, kinds.CLICKED]):
            account = uuid7()
            for kind in (kinds.SHOWN, kinds.CLICKED, kinds.CHECKOUT, kinds.PAID):
                funnel.note(account, kind, window=f"{number}")
                funnel.note(account, kind, window=f"{number}, again")
                if kind == furthest:
                    break
        month_ago = dt.datetime.now(dt.UTC) - dt.timedelta(days=31)
        FunnelEvent.objects.create(
            id=uuid7(int(month_ago.timestamp() * 1000)),
            account_id=uuid7(),
            kind="shown",
            trigger="none",
            channel="page",
            window="",
        )
        assert "shown 4 – clicked 3 75.0% checkout 1 33.3% paid 1 100.0%" in overview()

    def test_who_may_not_view_customers_sees_none_of_it(
        self, helper: Callable[..., Client]
    ) -> None:
        page = text(helper("view_user").get("/admin/").content)
        assert "Monthly recurring revenue" not in page
