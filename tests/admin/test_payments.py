"""Staff look at payments, hurry the worker, and edit nothing that Stripe decides."""

import datetime as dt
import html
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core import mail
from django.test import Client

from accounts.models import User
from billing import mails
from billing.models import Subscription
from billing.payments import inbox
from billing.payments.models import (
    Checkout,
    Customer,
    OutgoingMail,
    Referral,
    Repayment,
    TierChange,
    WebhookEvent,
)
from scalix.celery import app as _celery  # noqa: F401  (as in the web process)
from tests.billing.fake_stripe import FakeStripe, event, subscription, text_of
from tests.conftest import Person

BILLING = "/admin/billing/"
CUSTOMERS, EVENTS = f"{BILLING}customer/", f"{BILLING}webhookevent/"
MAILS, REFERRALS = f"{BILLING}outgoingmail/", f"{BILLING}referral/"
NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)


def read(browser: Client, path: str, **query: str) -> str:
    return html.unescape(browser.get(path, query).content.decode())


def act(browser: Client, path: str, action: str, *keys: object) -> str:
    """What staff are told after choosing rows of a list and an action."""
    chosen = {"action": action, "_selected_action": [str(key) for key in keys]}
    return html.unescape(browser.post(path, chosen, follow=True).content.decode())


@pytest.fixture
def customer(bob: Person) -> Customer:
    """Bob, who pays monthly and is late."""
    return Customer.objects.create(
        user=bob.user,
        mode="sandbox",
        stripe_id="cus_bob",
        subscription_id="sub_bob",
        status="past_due",
        price_key="scalix_pro_monthly",
        amount_due_cents=2999,
        card_brand="visa",
        card_last_four="4242",
        fetched_at=NOW - DAY,
    )


def receive(kind: str = "invoice.paid", customer_id: str = "cus_bob") -> WebhookEvent:
    found = event(kind, customer_id)
    inbox.record(found, text_of(found))
    return WebhookEvent.objects.get(event_id=found["id"])


class TestCustomers:
    """What is known of a customer, and fetching it anew."""

    def test_a_customer_is_found_by_address_and_by_the_id_at_stripe(
        self, staff: Client, customer: Customer
    ) -> None:
        for term in ("bob@", "cus_bob", "sub_bob"):
            assert "bob@example.com" in read(staff, CUSTOMERS, q=term)
        assert "bob@example.com" not in read(staff, CUSTOMERS, q="cus_bo")

    def test_their_page_shows_what_was_fetched(self, staff: Client, customer: Customer) -> None:
        page = read(staff, f"{CUSTOMERS}{customer.pk}/change/")
        for text in ("sub_bob", "$29.99", "visa …4242", "?q=cus_bob", "?q=bob%40example.com"):
            assert text in page

    def test_fetching_now_is_what_the_worker_does_next(
        self, staff: Client, customer: Customer
    ) -> None:
        assert "Fetching 1 customer from Stripe." in act(staff, CUSTOMERS, "fetch_now", customer.pk)
        stripe = FakeStripe()
        stripe.set("cus_bob", subscription())
        assert inbox.drain(stripe) == 1
        assert Subscription.objects.tier_of(customer.user_id) == "pro"
        assert LogEntry.objects.get().object_id == str(customer.pk)

    @pytest.mark.parametrize("fields", [{"mode": "live"}, {"stripe_id": None}])
    def test_who_is_not_at_this_stripe_is_not_fetched(
        self, staff: Client, customer: Customer, fields: dict[str, Any]
    ) -> None:
        Customer.objects.update(**fields)
        assert "Fetching 0 customers" in act(staff, CUSTOMERS, "fetch_now", customer.pk)
        customer.refresh_from_db()
        assert customer.refresh_wanted_at is None


class TestInbox:
    """What was delivered, what came of it, and acting on it once more."""

    def test_an_event_shows_its_payload_for_reading(self, staff: Client) -> None:
        page = read(staff, f"{EVENTS}{receive().pk}/change/")
        assert '  "type": "invoice.paid",\n' in page

    def test_it_says_of_an_event_that_was_lost_or_of_another_version_so(
        self, staff: Client
    ) -> None:
        one = receive()
        path = f"{EVENTS}{one.pk}/change/"
        assert "and not" not in read(staff, path)
        WebhookEvent.objects.update(
            api_version="2020-08-27", foreign_version=True, found_by_reconciler=True
        )
        page = read(staff, path)
        assert "2020-08-27, and not" in page
        assert "the reconciler: no webhook brought it" in page

    def test_events_are_found_by_their_own_and_their_customers_id(self, staff: Client) -> None:
        one, other = receive(), receive(customer_id="cus_other")
        for term in (one.event_id, "cus_bob"):
            page = read(staff, EVENTS, q=term)
            assert one.event_id in page
            assert other.event_id not in page

    @pytest.mark.parametrize(
        "query",
        [
            {"state__exact": "pending"},
            {"type": "invoice.paid"},
            {"foreign_version__exact": "1"},
            {"found_by_reconciler__exact": "1"},
        ],
    )
    def test_events_are_filtered(self, staff: Client, query: dict[str, str]) -> None:
        one, other = receive(), receive("charge.refunded")
        WebhookEvent.objects.filter(pk=one.pk).update(
            foreign_version=True, found_by_reconciler=True
        )
        WebhookEvent.objects.filter(pk=other.pk).update(state="done")
        page = read(staff, EVENTS, **query)
        assert one.event_id in page
        assert other.event_id not in page

    def test_an_event_that_was_tried_more_than_ten_times_stands_out(self, staff: Client) -> None:
        WebhookEvent.objects.filter(pk=receive().pk).update(attempts=10)
        assert "stuck" not in read(staff, EVENTS)
        WebhookEvent.objects.update(attempts=11)
        assert "stuck" in read(staff, EVENTS)
        WebhookEvent.objects.update(state="done")
        assert "stuck" not in read(staff, EVENTS)

    def test_acting_again_on_an_ended_event_leads_to_a_fetch(
        self, staff: Client, customer: Customer
    ) -> None:
        one = receive()
        stripe = FakeStripe()
        inbox.drain(stripe)
        stripe.set("cus_bob", subscription())
        assert "Acting on 1 event again." in act(staff, EVENTS, "act_again", one.pk)
        assert inbox.drain(stripe) == 1
        one.refresh_from_db()
        assert (one.state, one.outcome) == ("done", "pro: active")

    def test_one_that_waits_or_is_of_another_stripe_stays_as_it_is(self, staff: Client) -> None:
        waiting, strange = receive(), receive()
        WebhookEvent.objects.filter(pk=waiting.pk).update(attempts=3, outcome="APIError")
        WebhookEvent.objects.filter(pk=strange.pk).update(mode="live", state="ignored")
        before = list(WebhookEvent.objects.order_by("pk").values())
        page = act(staff, EVENTS, "act_again", waiting.pk, strange.pk)
        assert "Acting on 0 events again." in page
        assert list(WebhookEvent.objects.order_by("pk").values()) == before


def test_the_audit_trail_says_what_stripe_said(staff: Client, bob: Person) -> None:
    change = TierChange.objects.create(
        user=bob.user,
        before="free",
        after="pro",
        reason="active",
        detail={"subscription": "sub_bob"},
    )
    assert '"subscription": "sub_bob"' in read(staff, f"{BILLING}tierchange/{change.pk}/change/")


def test_a_checkout_shows_the_offer_line_by_line(staff: Client, customer: Customer) -> None:
    checkout = Checkout.objects.create(
        customer=customer,
        stripe_id="cs_1",
        price_key="scalix_pro_monthly",
        lines=[{"title": "Scalix Pro", "cents": 2999}, {"title": "Half price", "cents": -1500}],
        total_cents=1499,
        expires_at=NOW,
    )
    page = read(staff, f"{BILLING}checkout/{checkout.pk}/change/")
    for text in ("$29.99 Scalix Pro", "−$15.00 Half price", "$14.99"):
        assert text in page


class TestReferrals:
    """Staff may void what has not been rewarded, and say why."""

    @pytest.fixture
    def referral(self, alice: Person, bob: Person) -> Referral:
        return Referral.objects.create(
            referrer=alice.user, referred=bob.user, expires_at=NOW + 30 * DAY
        )

    def void(self, browser: Client, referral: Referral, **form: str) -> int:
        path = f"{REFERRALS}{referral.pk}/void/"
        status = browser.post(path, {"_form_submitted": "on", **form}).status_code
        referral.refresh_from_db()
        return status

    def test_a_voided_one_keeps_the_reason(self, staff: Client, referral: Referral) -> None:
        self.void(staff, referral, reason="Both live in one flat.")
        assert (referral.state, referral.reason) == ("void", "Both live in one flat.")
        assert LogEntry.objects.get().change_message == "Voided: Both live in one flat."

    def test_it_takes_a_reason(self, staff: Client, referral: Referral) -> None:
        self.void(staff, referral)
        assert referral.state == "waiting"
        assert not LogEntry.objects.exists()

    def test_one_that_was_rewarded_stays(self, staff: Client, referral: Referral) -> None:
        Referral.objects.update(state="rewarded", credit_cents=600)
        assert self.void(staff, referral, reason="Too late.") == 403
        assert referral.state == "rewarded"

    def test_it_takes_the_right_to(self, helper: Callable[..., Client], referral: Referral) -> None:
        assert self.void(helper("view_referral"), referral, reason="No.") == 403
        assert referral.state == "waiting"


class TestMails:
    """What was sent, what was not, and sending it again."""

    def owed(self, person: Person, **fields: Any) -> OutgoingMail:
        mails.owe(person.user, "upgraded", key=str(OutgoingMail.objects.count()))
        one = OutgoingMail.objects.order_by("pk")[OutgoingMail.objects.count() - 1]
        OutgoingMail.objects.filter(pk=one.pk).update(**fields)
        return one

    def test_the_list_says_what_became_of_each(
        self, staff: Client, alice: Person, bob: Person, charlie: Person
    ) -> None:
        self.owed(alice, sent_at=NOW, attempts=1)
        self.owed(bob)
        self.owed(charlie, attempts=10, error="OSError: no")

        def listed(**query: str) -> set[str]:
            page = read(staff, MAILS, **query)
            return {name for name in ("alice", "bob", "charlie") if f"{name}@" in page}

        assert listed(state="sent") == {"alice"}
        assert listed(state="waiting") == {"bob"}
        assert listed(state="given_up") == {"charlie"}
        assert listed() == {"alice", "bob", "charlie"}

    def test_one_that_was_given_up_or_sent_is_sent_again(
        self, staff: Client, alice: Person, bob: Person
    ) -> None:
        one = self.owed(alice, sent_at=NOW, claimed_at=NOW, attempts=1)
        other = self.owed(bob, claimed_at=NOW, attempts=10, error="OSError: no")
        assert "Sending 2 mails" in act(staff, MAILS, "send_again", one.pk, other.pk)
        mails.send_due(NOW)
        assert sorted(message.to[0] for message in mail.outbox) == [
            "alice@example.com",
            "bob@example.com",
        ]

    def test_one_that_is_being_sent_is_left_alone(self, staff: Client, bob: Person) -> None:
        one = self.owed(bob, claimed_at=NOW, attempts=1)
        assert "Sending 0 mails" in act(staff, MAILS, "send_again", one.pk)
        assert mails.send_due(NOW) == 0


class TestSubscriptions:
    """Staff give and take their own grants; what is paid is Stripe's."""

    def test_a_paid_one_is_shown_and_cannot_be_edited_or_deleted(
        self, staff: Client, alice: Person
    ) -> None:
        paid = alice.user.subscriptions.get()
        before = Subscription.objects.values().get()
        path = f"{BILLING}subscription/{paid.pk}"
        assert 'name="tier"' not in read(staff, f"{path}/change/")
        assert staff.post(f"{path}/change/", {"tier": "free"}).status_code == 403
        assert staff.post(f"{path}/delete/", {"post": "yes"}).status_code == 403
        chosen = {"action": "delete_selected", "_selected_action": str(paid.pk), "post": "yes"}
        staff.post(f"{BILLING}subscription/", chosen)
        assert Subscription.objects.values().get() == before

    def test_a_grant_can_be_edited_and_deleted(self, staff: Client, bob: Person) -> None:
        grant = Subscription.objects.create(user=bob.user, tier="pro", source="staff")
        path = f"{BILLING}subscription/{grant.pk}"
        staff.post(f"{path}/change/", {"tier": "free"})
        grant.refresh_from_db()
        assert grant.tier == "free"
        staff.post(f"{path}/delete/", {"post": "yes"})
        assert not Subscription.objects.exists()

    def test_a_users_page_shows_what_is_paid_and_offers_no_field_for_it(
        self, staff: Client, alice: Person
    ) -> None:
        customer = Customer.objects.create(user=alice.user, mode="sandbox", stripe_id="cus_1")
        page = read(staff, f"/admin/accounts/user/{alice.account_id}/change/")
        assert "Pro, as it stands without an end." in page
        assert f"{CUSTOMERS}{customer.pk}/change/" in page
        assert 'name="subscriptions-0-tier"' not in page

    def test_a_users_page_cannot_smuggle_a_paid_one_in(self, staff: Client, alice: Person) -> None:
        paid = alice.user.subscriptions.get()
        staff.post(
            f"/admin/accounts/user/{alice.account_id}/change/",
            {
                "email": "alice@example.com",
                "subscriptions-TOTAL_FORMS": "1",
                "subscriptions-INITIAL_FORMS": "1",
                "subscriptions-0-id": str(paid.pk),
                "subscriptions-0-user": str(alice.account_id),
                "subscriptions-0-tier": "free",
                "subscriptions-0-DELETE": "on",
            },
        )
        assert Subscription.objects.get(pk=paid.pk).tier == "pro"

    def test_a_grant_beside_a_paid_one_is_given_on_the_users_page(
        self, staff: Client, alice: Person
    ) -> None:
        staff.post(
            f"/admin/accounts/user/{alice.account_id}/change/",
            {
                "email": "alice@example.com",
                "subscriptions-TOTAL_FORMS": "1",
                "subscriptions-INITIAL_FORMS": "0",
                "subscriptions-0-tier": "pro",
                "subscriptions-0-user": str(alice.account_id),
            },
        )
        assert set(alice.user.subscriptions.values_list("source", "tier")) == {
            ("staff", "pro"),
            ("stripe", "pro"),
        }


@pytest.fixture
def rows(customer: Customer, alice: Person) -> dict[str, Any]:
    """One of what staff might want to edit, by the name of its model."""
    return {
        "customer": customer,
        "webhookevent": receive(),
        "tierchange": TierChange.objects.create(
            user=alice.user, before="free", after="pro", reason="active"
        ),
        "repayment": Repayment.objects.create(
            subscription_id="sub_2", customer=customer, refunded_cents=2999, reason="A second."
        ),
        "referral": Referral.objects.create(
            referrer=alice.user, referred=customer.user, expires_at=NOW
        ),
        "outgoingmail": OutgoingMail.objects.create(user=alice.user, kind="upgraded", key="1"),
    }


def test_not_even_a_superuser_adds_changes_or_deletes_a_row_of_payments(
    staff: Client, rows: dict[str, Any]
) -> None:
    for name, row in rows.items():
        before = type(row).objects.values().get()
        path = f"{BILLING}{name}/"
        assert staff.post(f"{path}add/").status_code == 403
        assert staff.post(f"{path}{row.pk}/change/", {"state": "void"}).status_code == 403
        assert staff.post(f"{path}{row.pk}/delete/", {"post": "yes"}).status_code == 403
        act(staff, path, "delete_selected", row.pk)
        assert type(row).objects.values().get() == before


@pytest.mark.parametrize(
    ("name", "action"),
    [("customer", "fetch_now"), ("webhookevent", "act_again"), ("outgoingmail", "send_again")],
)
def test_who_may_only_look_has_no_actions(
    helper: Callable[..., Client], rows: dict[str, Any], name: str, action: str
) -> None:
    WebhookEvent.objects.update(state="done")
    OutgoingMail.objects.update(sent_at=NOW)
    row = rows[name]
    before = type(row).objects.values().get()
    browser = helper(f"view_{name}")
    assert f'value="{action}"' not in read(browser, f"{BILLING}{name}/")
    act(browser, f"{BILLING}{name}/", action, row.pk)
    assert type(row).objects.values().get() == before


def test_who_may_change_rows_of_payments_has_the_actions(
    helper: Callable[..., Client], rows: dict[str, Any]
) -> None:
    browser = helper("view_customer", "change_customer")
    assert "Fetching 1 customer" in act(browser, CUSTOMERS, "fetch_now", rows["customer"].pk)
    assert User.objects.get(email="helper@example.com").is_superuser is False
