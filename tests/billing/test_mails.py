"""Mails that are owed: what they say, and that each goes out, once, whatever goes wrong."""

import datetime as dt
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from django.core import mail
from django.core.mail import EmailMessage
from django.core.mail.backends.locmem import EmailBackend as Outbox
from django.db import connection
from pytest_django import Settings

from billing import mails
from billing.payments import letters, tasks
from billing.payments.entitlement import entitlement
from billing.payments.models import Customer, OutgoingMail, TierChange
from billing.payments.states import CustomerState, InvoiceState, SubscriptionState
from tests.billing.fake_stripe import subscription
from tests.conftest import Person

NOW = dt.datetime(2026, 11, 24, 14, 5, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)
DAY = dt.timedelta(days=1)


def owed(person: Person, kind: str = "upgraded", **context: Any) -> OutgoingMail:
    """A mail that waits to be sent."""
    key = f"{kind}:{OutgoingMail.objects.count()}"
    mails.owe(person.user, kind, key=key, **context)
    return OutgoingMail.objects.get(key=key)


def sent() -> EmailMessage:
    """The only mail that went out, without the lines that all have in common."""
    mails.send_due(NOW)
    [message] = mail.outbox
    return message


# What they say ------------------------------------------------------------------------------


def monthly(status: str = "active", **fields: Any) -> SubscriptionState:
    """A subscription whose dates are known."""
    dates = {
        "created_at": NOW - 40 * DAY,
        "period_starts_at": NOW - 10 * DAY,
        "period_ends_at": NOW + 20 * DAY,
    }
    return subscription(status, **{**dates, **fields})


@pytest.fixture
def changed(customer: Customer) -> Callable[..., EmailMessage]:
    """What `letters` makes Bob get when these subscriptions are found, and his tier became so."""

    def write(*found: SubscriptionState, after: str | None = None) -> EmailMessage:
        given = entitlement(CustomerState("cus_1", found), NOW)
        change = after and TierChange.objects.create(
            user=customer.user, before="free", after=after, reason=given.reason
        )
        letters.write(customer, given, change or None)
        for one in OutgoingMail.objects.all():  # as they come back from the database
            assert json.loads(json.dumps(one.context)) == one.context
        return sent()

    return write


Changed = Callable[..., EmailMessage]


def test_an_upgrade_says_that_nothing_has_to_be_changed(changed: Changed) -> None:
    message = changed(monthly(), after="pro")
    assert message.subject == "You are on Scalix Pro"
    assert "nothing has to be changed in your programs" in message.body


@pytest.mark.parametrize(
    ("found", "because"),
    [
        (monthly("canceled"), "your subscription has ended"),
        (monthly(cancels_at=NOW - DAY), "your subscription has ended"),
        (monthly("unpaid"), "your last payment could not be taken"),
        (
            monthly("past_due", period_starts_at=NOW - 15 * DAY),
            "your last payment could not be taken",
        ),
        (
            monthly(invoices=(InvoiceState("in_1", "paid", NOW - DAY, 2999, 2999, 2999),)),
            "your last payment was refunded",
        ),
        (
            monthly(
                invoices=(InvoiceState("in_1", "paid", NOW - DAY, 2999, 2999, dispute="lost"),)
            ),
            "your bank took your last payment back",
        ),
        (monthly("paused"), "there is no paid subscription any more"),
    ],
    ids=["canceled", "at its end", "unpaid", "grace over", "refunded", "dispute", "paused"],
)
def test_a_downgrade_says_why(changed: Changed, found: SubscriptionState, because: str) -> None:
    message = changed(found, after="free")
    assert message.subject == "Your account is on the free plan again"
    assert f"on the free plan now: {because}." in message.body


def test_another_price_is_named(changed: Changed, customer: Customer) -> None:
    customer.price_key = "scalix_pro_monthly"
    message = changed(monthly(price_key="scalix_pro_annual"))
    assert message.subject == "Your plan is $287.90 a year now"


def test_a_cancellation_says_until_when_pro_stays(changed: Changed) -> None:
    message = changed(monthly(cancels_at=NOW + 20 * DAY))
    assert message.subject == "Your Scalix Pro ends on 14 December 2026, 14:05 UTC"
    assert "You stay on Pro until 14 December 2026, 14:05 UTC" in message.body


def unpaid(**fields: Any) -> SubscriptionState:
    """A renewal that failed today."""
    invoice = InvoiceState("in_2", "open", NOW, 2999, 0)
    return monthly("past_due", period_starts_at=NOW, invoices=(replace(invoice, **fields),))


def test_a_failed_payment_says_what_when_it_is_tried_again_and_until_when(
    changed: Changed,
) -> None:
    message = changed(unpaid(next_attempt_at=NOW + 3 * DAY))
    assert message.subject == "Your payment of $29.99 failed"
    assert "The next try is on 27 November 2026, 14:05 UTC." in message.body
    assert "You stay on Pro until 8 December 2026, 14:05 UTC." in message.body
    assert "http://testserver/billing/" in message.body


def test_a_failed_payment_that_is_not_tried_again_says_so(changed: Changed) -> None:
    assert "It is not tried again by itself." in changed(unpaid()).body


def test_a_second_payment_says_what_comes_back(bob: Person) -> None:
    owed(bob, "second_refunded", cents=2999)
    message = sent()
    assert message.subject == "We refunded $29.99: you had paid twice"
    assert "Your first subscription stays" in message.body


def test_a_referral_that_paid_says_what_it_brought(bob: Person) -> None:
    owed(bob, "referral_rewarded", cents=600)
    assert sent().subject == "$6.00 off your next invoice"


def test_a_limit_that_is_reached_says_which_and_until_when(bob: Person) -> None:
    owed(
        bob,
        "limit_reached",
        limit="tokens today",
        max=10_000,
        resets_at="2026-11-25T00:00:00+00:00",
        upgrade_url="http://testserver/pricing/?from=mail",
    )
    message = sent()
    assert message.subject == "You have reached a limit: tokens today"
    assert "room for 10,000 tokens today" in message.body
    assert "room again from 25 November 2026, 00:00 UTC on" in message.body
    assert "http://testserver/pricing/?from=mail\n" in message.body
    assert "List-Unsubscribe" not in message.message()


EVERY_KIND: dict[str, dict[str, Any]] = {
    "upgraded": {},
    "downgraded": {"reason": "canceled"},
    "price_changed": {"price_key": "scalix_pro_annual"},
    "cancels": {"cancels_at": NOW.isoformat()},
    "payment_failed": {
        "due_cents": 2999,
        "next_attempt_at": None,
        "access_ends_at": NOW.isoformat(),
    },
    "second_refunded": {"cents": 2999},
    "referral_rewarded": {"cents": 600},
    "limit_reached": {
        "limit": "tokens today",
        "max": 10_000,
        "resets_at": NOW.isoformat(),
        "upgrade_url": "http://testserver/pricing/",
    },
}


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_each_is_plain_text_with_one_link_to_the_accounts_address(kind: str, bob: Person) -> None:
    owed(bob, kind, **EVERY_KIND[kind])
    message = sent()
    assert message.to == ["bob@example.com"]
    assert message.content_subtype == "plain"
    assert len(message.subject) < 78
    assert message.body.count("http://testserver/") == 1
    for rest in ("{", "}", "<", "&", "None", "\n\n\n"):
        assert rest not in message.subject + message.body


# That they go out ---------------------------------------------------------------------------


def test_a_mail_goes_out_once(bob: Person) -> None:
    one = owed(bob)
    assert [mails.send_due(NOW + n * MINUTE) for n in (0, 1, 15)] == [1, 0, 0]
    assert len(mail.outbox) == 1
    one.refresh_from_db()
    assert (one.sent_at, one.attempts, one.error) == (NOW, 1, "")


def test_what_is_owed_twice_goes_out_once(bob: Person) -> None:
    for _ in range(2):
        mails.owe(bob.user, "upgraded", key="upgraded:1")
    tasks.send_mails()
    assert len(mail.outbox) == 1


def test_it_goes_to_the_address_that_the_account_has_when_it_is_sent(bob: Person) -> None:
    owed(bob)
    bob.user.email = "robert@example.com"
    bob.user.save()
    assert sent().to == ["robert@example.com"]


def test_a_suspended_account_gets_none(charlie: Person, bob: Person) -> None:
    one = owed(charlie)
    owed(bob)
    assert sent().to == ["bob@example.com"]
    one.refresh_from_db()
    assert (one.sent_at, one.error) == (None, "The account is suspended.")
    assert mails.send_due(NOW + DAY) == 0


class Slow(Outbox):
    """Lets a mail go when two senders are at work."""

    both = threading.Barrier(2, timeout=20)

    def send_messages(self, messages: Any) -> int:
        self.both.wait()
        return super().send_messages(messages)


def test_two_senders_at_once_send_each_mail_once(
    transactional_db: None, bob: Person, alice: Person, settings: Settings
) -> None:
    settings.EMAIL_BACKEND = f"{__name__}.Slow"
    owed(bob)
    owed(alice)

    def work() -> None:
        mails.send_due(NOW)
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(message.to[0] for message in mail.outbox) == [
        "alice@example.com",
        "bob@example.com",
    ]


class Faulty(Outbox):
    """Takes every mail but for those to `refuses`."""

    refuses: set[str] = set()
    error: BaseException = OSError("no such mailbox")

    def send_messages(self, messages: Any) -> int:
        if self.refuses & set(messages[0].to):
            raise self.error
        return super().send_messages(messages)


@pytest.fixture
def faulty(settings: Settings) -> Iterator[type[Faulty]]:
    """A mail server that refuses what goes to Bob."""
    settings.EMAIL_BACKEND = f"{__name__}.Faulty"
    Faulty.refuses, Faulty.error = {"bob@example.com"}, OSError("no such mailbox")
    yield Faulty
    Faulty.refuses = set()


def test_a_mail_that_fails_is_tried_again_and_the_others_go(
    faulty: type[Faulty], bob: Person, alice: Person
) -> None:
    one = owed(bob)
    owed(alice)
    assert mails.send_due(NOW) == 1
    assert [message.to for message in mail.outbox] == [["alice@example.com"]]
    one.refresh_from_db()
    assert (one.sent_at, one.attempts, one.error) == (None, 1, "OSError: no such mailbox")
    faulty.refuses = set()
    assert mails.send_due(NOW + MINUTE / 2) == 0
    assert mails.send_due(NOW + MINUTE) == 1
    one.refresh_from_db()
    assert (one.attempts, one.error) == (2, "")


def test_a_mail_whose_template_is_missing_stops_nobody(bob: Person, alice: Person) -> None:
    one = owed(bob, "no_such_kind")
    owed(alice)
    assert sent().to == ["alice@example.com"]
    one.refresh_from_db()
    assert "TemplateDoesNotExist" in one.error


def test_it_is_tried_ten_times_at_growing_distances(faulty: type[Faulty], bob: Person) -> None:
    one = owed(bob)
    tried = []
    for minute in range(24 * 60):
        before = one.attempts
        mails.send_due(NOW + minute * MINUTE)
        one.refresh_from_db()
        if one.attempts > before:
            tried.append(minute)
    assert tried == [0, 1, 3, 7, 15, 31, 63, 127, 255, 511]


def test_a_server_that_is_away_is_asked_three_times_a_run(
    faulty: type[Faulty], bob: Person
) -> None:
    for _ in range(5):
        owed(bob)
    assert mails.send_due(NOW) == 0
    assert OutgoingMail.objects.filter(attempts=1).count() == 3
    faulty.refuses = set()
    assert mails.send_due(NOW + MINUTE) == 5


def test_a_sender_that_is_killed_before_it_is_done_leads_to_the_same_mail_again(
    faulty: type[Faulty], bob: Person
) -> None:
    owed(bob)
    faulty.error = SystemExit("killed")
    with pytest.raises(SystemExit):
        mails.send_due(NOW)
    faulty.refuses = set()
    assert mails.send_due(NOW + 9 * MINUTE) == 0
    assert mails.send_due(NOW + 10 * MINUTE) == 1


def test_two_copies_of_a_mail_have_the_same_message_id(bob: Person) -> None:
    one = owed(bob)
    mails.send_due(NOW)
    OutgoingMail.objects.filter(pk=one.pk).update(sent_at=None)  # killed before this was written
    mails.send_due(NOW + 10 * MINUTE)
    first, second = (message.message()["Message-ID"] for message in mail.outbox)
    assert first == second == f"<{one.pk}@testserver>"
