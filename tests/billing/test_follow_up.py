"""What is owed at Stripe after a tier was written: what is refused stays owed and takes nothing."""

import datetime as dt
import logging
from dataclasses import replace
from typing import Any

import pytest
from django.utils import timezone

from billing.models import Subscription
from billing.payments import inbox
from billing.payments.fulfilment import refresh
from billing.payments.models import Customer, OutgoingMail, Referral, Repayment, WebhookEvent
from billing.payments.states import SubscriptionState
from billing.payments.stripe_api import StripeRefused
from tests.billing.fake_stripe import FakeStripe, event, subscription, text_of
from tests.conftest import _person


class Refusing(FakeStripe):
    """Refuses the calls that are named, until they are named no more."""

    def __init__(self, *refused: str) -> None:
        super().__init__()
        self.refused = set(refused)
        self.addresses: list[str] = []

    def _refuse(self, call: str) -> None:
        if call in self.refused:
            raise StripeRefused("InvalidRequestError 400")

    def change_email(self, customer_id: str, email: str) -> None:
        self._refuse("change_email")
        self.addresses.append(email)
        self.states[customer_id] = replace(self.states[customer_id], email=email)

    def credit(self, customer_id: str, **more: Any) -> None:
        self._refuse("credit")
        super().credit(customer_id, **more)

    def refund(self, payment_intent_id: str, **more: Any) -> int:
        self._refuse("refund")
        return super().refund(payment_intent_id, **more)

    def cancel_now(self, subscription_id: str, **more: Any) -> None:
        self._refuse("cancel_now")
        super().cancel_now(subscription_id, **more)


def tell(kind: str, stripe: FakeStripe) -> None:
    """A webhook arrives and is acted on."""
    found = event(kind)
    inbox.record(found, text_of(found))
    inbox.drain(stripe)


def taken_back(**fields: Any) -> SubscriptionState:
    """A subscription whose period was paid and taken back."""
    paid = subscription()
    return replace(paid, invoices=(replace(paid.invoices[0], **fields),))


def is_owed_and_logged(customer: Customer, caplog: pytest.LogCaptureFixture) -> bool:
    customer.refresh_from_db()
    wanted_at = customer.refresh_wanted_at
    later = wanted_at is not None and wanted_at > timezone.now()
    return later and "Stripe refused what is owed" in caplog.text


# What is refused ----------------------------------------------------------------------------


def test_a_refused_change_of_address_keeps_nobody_from_what_they_paid_for(
    customer: Customer, caplog: pytest.LogCaptureFixture
) -> None:
    stripe = Refusing("change_email")
    stripe.set("cus_1", subscription())
    stripe.states["cus_1"] = replace(stripe.states["cus_1"], email="old@example.com")
    with caplog.at_level(logging.ERROR):
        tell("invoice.paid", stripe)

    assert Subscription.objects.tier_of(customer.user_id) == "pro"
    assert WebhookEvent.objects.get().state == "done"
    assert OutgoingMail.objects.get().kind == "upgraded"
    assert is_owed_and_logged(customer, caplog)

    stripe.refused.clear()
    refresh(customer.pk, stripe)

    assert stripe.addresses == [customer.user.email]
    customer.refresh_from_db()
    assert customer.refresh_wanted_at is None


def test_a_refused_credit_keeps_nobody_from_what_they_paid_for(
    customer: Customer, caplog: pytest.LogCaptureFixture
) -> None:
    referral = Referral.objects.create(
        referrer=customer.user,
        referred=_person("dora").user,
        state="earned",
        expires_at=timezone.now(),
    )
    stripe = Refusing("credit")
    stripe.set("cus_1", subscription())
    with caplog.at_level(logging.ERROR):
        tell("invoice.paid", stripe)

    assert Subscription.objects.tier_of(customer.user_id) == "pro"
    assert WebhookEvent.objects.get().state == "done"
    referral.refresh_from_db()
    assert referral.state == "earned"
    assert is_owed_and_logged(customer, caplog)

    stripe.refused.clear()
    refresh(customer.pk, stripe)

    assert stripe.credits == [("cus_1", 600)]


def test_one_refused_job_keeps_no_other_from_being_done(
    customer: Customer, caplog: pytest.LogCaptureFixture
) -> None:
    Referral.objects.create(
        referrer=customer.user,
        referred=_person("dora").user,
        state="earned",
        expires_at=timezone.now(),
    )
    stripe = Refusing("change_email")
    stripe.set("cus_1", subscription())
    stripe.states["cus_1"] = replace(stripe.states["cus_1"], email="old@example.com")

    refresh(customer.pk, stripe)

    assert stripe.credits == [("cus_1", 600)]


# A second subscription ----------------------------------------------------------------------


def test_a_second_subscription_whose_refund_is_refused_is_cancelled_and_not_called_refunded(
    customer: Customer, caplog: pytest.LogCaptureFixture
) -> None:
    stripe = Refusing("refund")
    stripe.set(
        "cus_1", subscription(id="sub_a"), subscription(id="sub_b", created_at=timezone.now())
    )
    with caplog.at_level(logging.ERROR):
        tell("invoice.paid", stripe)

    assert Subscription.objects.tier_of(customer.user_id) == "pro"
    assert stripe.cancelled == ["sub_b"]
    owed = Repayment.objects.get()
    assert (owed.subscription_id, owed.refunded_cents, owed.done_at) == ("sub_b", 0, None)
    assert not OutgoingMail.objects.filter(kind="second_refunded").exists()
    assert is_owed_and_logged(customer, caplog)


def test_a_refund_that_works_at_last_is_recorded_and_mailed_once(customer: Customer) -> None:
    stripe = Refusing("refund")
    stripe.set(
        "cus_1", subscription(id="sub_a"), subscription(id="sub_b", created_at=timezone.now())
    )
    refresh(customer.pk, stripe)
    stripe.refused.clear()

    for _ in range(3):
        refresh(customer.pk, stripe)

    assert stripe.refunds == ["pi_sub_b"]
    assert stripe.cancelled == ["sub_b"]
    done = Repayment.objects.get()
    assert done.refunded_cents == 2999
    assert done.done_at is not None
    assert OutgoingMail.objects.filter(kind="second_refunded").count() == 1
    customer.refresh_from_db()
    assert (customer.subscription_id, customer.refresh_wanted_at) == ("sub_a", None)


def second_owing(status: str) -> SubscriptionState:
    """A second subscription whose renewal is not paid, and whose month before was used up."""
    second = subscription(status, id="sub_b", created_at=timezone.now() - dt.timedelta(days=41))
    [used] = second.invoices
    used = replace(used, created_at=used.created_at - dt.timedelta(days=30))
    open_one = replace(
        second.invoices[0], id="in_open", status="open", paid_cents=0, payment_intents=()
    )
    return replace(second, invoices=(open_one, used))


@pytest.mark.parametrize("status", ["past_due", "unpaid"])
def test_a_second_one_that_is_owed_is_cancelled_and_gives_back_no_month_that_was_used(
    status: str, customer: Customer, stripe_double: FakeStripe
) -> None:
    stripe_double.set("cus_1", subscription(id="sub_a"), second_owing(status))

    for _ in range(2):
        refresh(customer.pk, stripe_double)

    assert stripe_double.refunds == []
    assert stripe_double.cancelled == ["sub_b"]
    done = Repayment.objects.get()
    assert (done.subscription_id, done.owes_refund, done.refunded_cents) == ("sub_b", False, 0)
    assert done.done_at is not None
    assert not OutgoingMail.objects.filter(kind="second_refunded").exists()
    customer.refresh_from_db()
    assert customer.refresh_wanted_at is None


def test_a_second_one_that_a_credit_paid_gives_back_no_earlier_payment(
    customer: Customer, stripe_double: FakeStripe
) -> None:
    second = replace(second_owing("active"), created_at=timezone.now())
    credited = replace(second.invoices[0], status="paid", due_cents=0)
    second = replace(second, invoices=(credited, *second.invoices[1:]))
    stripe_double.set("cus_1", subscription(id="sub_a"), second)

    refresh(customer.pk, stripe_double)

    assert stripe_double.refunds == []
    assert stripe_double.cancelled == ["sub_b"]
    assert not OutgoingMail.objects.filter(kind="second_refunded").exists()


# What was taken back ------------------------------------------------------------------------


@pytest.mark.parametrize("fields", [{"refunded_cents": 2999}, {"dispute": "lost"}])
def test_a_payment_that_was_taken_back_ends_its_subscription_at_stripe(
    fields: dict[str, Any], customer: Customer, stripe_double: FakeStripe
) -> None:
    stripe_double.set("cus_1", taken_back(**fields))

    refresh(customer.pk, stripe_double)
    refresh(customer.pk, stripe_double)

    assert stripe_double.cancelled == ["sub_1"]
    customer.refresh_from_db()
    assert (customer.status, customer.refresh_wanted_at) == ("canceled", None)
    assert Subscription.objects.tier_of(customer.user_id) == "free"


def test_a_refused_cancellation_is_tried_again(
    customer: Customer, caplog: pytest.LogCaptureFixture
) -> None:
    stripe = Refusing("cancel_now")
    stripe.set("cus_1", taken_back(refunded_cents=2999))
    with caplog.at_level(logging.ERROR):
        refresh(customer.pk, stripe)

    assert Subscription.objects.tier_of(customer.user_id) == "free"
    assert is_owed_and_logged(customer, caplog)

    stripe.refused.clear()
    refresh(customer.pk, stripe)

    assert stripe.cancelled == ["sub_1"]


@pytest.mark.parametrize("fields", [{"refunded_cents": 2998}, {"dispute": "needs_response"}])
def test_what_is_taken_back_in_part_or_still_disputed_cancels_nothing(
    fields: dict[str, Any], customer: Customer, stripe_double: FakeStripe
) -> None:
    stripe_double.set("cus_1", taken_back(**fields))

    refresh(customer.pk, stripe_double)

    assert stripe_double.cancelled == []
    assert Subscription.objects.tier_of(customer.user_id) == "pro"
