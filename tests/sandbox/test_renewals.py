"""What comes after the first payment: renewals, retries, endings."""

import datetime as dt
from pathlib import Path

import pytest
import stripe

from tests.sandbox.running import RunningSandbox
from tests.sandbox.shop import DAY, DECLINES_LATER, Shop, client


def period(subscription: stripe.Subscription) -> tuple[int, int]:
    item = subscription["items"].data[0]
    return item.current_period_start, item.current_period_end


def at(text: str) -> int:
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC).timestamp())


@pytest.mark.parametrize(
    ("begins", "ends"),
    [
        ("2027-01-31T09:30", ["2027-02-28T09:30", "2027-03-31T09:30", "2027-04-30T09:30"]),
        ("2028-01-31T09:30", ["2028-02-29T09:30", "2028-03-31T09:30", "2028-04-30T09:30"]),
        ("2027-12-15T23:59", ["2028-01-15T23:59", "2028-02-15T23:59", "2028-03-15T23:59"]),
    ],
)
def test_a_month_ends_on_the_same_day_or_the_month_s_last(
    tmp_path: Path, begins: str, ends: list[str]
) -> None:
    with RunningSandbox(tmp_path / "state.sqlite3", now=at(begins)) as running:
        shop = Shop(running.base)
        subscription = shop.subscribed()
        seconds = subscription.created - at(begins)  # that the test took
        for end in ends:
            found = shop.subscription(subscription.id)
            assert period(found)[1] == at(end) + seconds
            shop.advance_to(period(found)[1])
        invoices = shop.invoices(subscription.id)
        assert [one.amount_paid for one in invoices] == [2999] * 4
        assert [one.created - seconds for one in invoices] == [
            at(one) for one in [*ends[::-1], begins]
        ]


def test_a_year_ends_on_the_same_day(tmp_path: Path) -> None:
    with RunningSandbox(tmp_path / "state.sqlite3", now=at("2028-02-29T12:00")) as running:
        shop = Shop(running.base)
        subscription = shop.subscribed(price=shop.annual)
        seconds = subscription.created - at("2028-02-29T12:00")
        shop.advance(days=400)
        found = shop.subscription(subscription.id)
        assert period(found) == (at("2029-02-28T12:00") + seconds, at("2030-02-28T12:00") + seconds)
        assert [one.amount_paid for one in shop.invoices(found.id)] == [28790, 28790]


def test_a_second_before_its_end_nothing_has_happened(shop: Shop) -> None:
    subscription = shop.subscribed()
    ends = period(subscription)[1]
    shop.advance_to(ends - 60)
    assert len(shop.invoices(subscription.id)) == 1
    shop.advance(seconds=60)
    assert len(shop.invoices(subscription.id)) == 2
    assert shop.invoices(subscription.id)[0].created == ends


def test_half_a_year_passes_in_order(shop: Shop) -> None:
    subscription = shop.subscribed()
    shop.advance(days=190)
    assert [one.billing_reason for one in shop.invoices(subscription.id)] == [
        *["subscription_cycle"] * 6,
        "subscription_create",
    ]
    created = [event.created for event in shop.events()]
    assert created == sorted(created, reverse=True)


def test_a_renewal_takes_the_customer_s_credit_first(shop: Shop) -> None:
    subscription = shop.subscribed()
    customer = str(subscription.customer)
    shop.v1.customers.balance_transactions.create(customer, {"amount": -600, "currency": "usd"})
    shop.advance(days=32)
    invoice = shop.invoices(subscription.id)[0]
    assert (invoice.total, invoice.amount_due, invoice.amount_paid) == (2999, 2399, 2399)
    assert shop.v1.customers.retrieve(customer).balance == 0


def test_a_cancelled_subscription_ends_with_its_period(shop: Shop) -> None:
    subscription = shop.subscribed()
    ends = period(subscription)[1]
    asked = shop.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
    assert (asked.status, asked.cancel_at_period_end, asked.cancel_at) == ("active", True, ends)
    shop.advance_to(ends - 60)
    assert shop.subscription(subscription.id).status == "active"
    shop.advance(seconds=60)
    ended = shop.subscription(subscription.id)
    assert (ended.status, ended.ended_at) == ("canceled", ends)
    assert len(shop.invoices(subscription.id)) == 1
    assert shop.happened()[-1] == "customer.subscription.deleted"


def test_a_resumed_subscription_goes_on(shop: Shop) -> None:
    subscription = shop.subscribed()
    shop.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
    resumed = shop.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": False})
    assert (resumed.cancel_at, resumed.canceled_at) == (None, None)
    shop.advance(days=32)
    assert shop.subscription(subscription.id).status == "active"
    assert len(shop.invoices(subscription.id)) == 2


def test_a_subscription_can_end_at_a_moment_of_its_own(shop: Shop) -> None:
    subscription = shop.subscribed()
    moment = shop.now() + 10 * DAY
    asked = shop.v1.subscriptions.update(subscription.id, {"cancel_at": moment})
    assert (asked.cancel_at, asked.cancel_at_period_end) == (moment, False)
    shop.advance(days=11)
    assert shop.subscription(subscription.id).ended_at == moment


def test_an_update_leaves_alone_what_it_is_not_given(shop: Shop) -> None:
    subscription = shop.subscribed()
    shop.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
    changed = shop.v1.subscriptions.update(subscription.id, {"metadata": {"note": "kept"}})
    assert (changed.cancel_at_period_end, changed.metadata["note"]) == (True, "kept")
    assert changed.default_payment_method == subscription.default_payment_method


def test_a_declined_renewal_is_tried_on_days_3_5_7_and_14_and_then_given_up(shop: Shop) -> None:
    subscription = shop.subscribed(DECLINES_LATER)
    due = period(subscription)[1]
    shop.advance_to(due)
    tried = []
    for day in (3, 5, 7, 14):
        owed = shop.subscription(subscription.id)
        invoice = shop.invoices(subscription.id)[0]
        tried.append(invoice.attempt_count)
        assert (owed.status, invoice.status) == ("past_due", "open")
        assert period(owed)[0] == due  # Stripe moves the period on, paid or not
        assert invoice.next_payment_attempt == due + day * DAY
        shop.advance_to(due + day * DAY)
    assert tried == [1, 2, 3, 4]
    ended = shop.subscription(subscription.id)
    assert (ended.status, ended.ended_at) == ("canceled", due + 14 * DAY)
    assert ended.cancellation_details.reason == "payment_failed"
    failed = shop.events("invoice.payment_failed")[::-1]
    assert [one.data.object["attempt_count"] for one in failed] == [1, 2, 3, 4, 5]
    assert [one.created for one in failed] == [due + day * DAY for day in (0, 3, 5, 7, 14)]
    shop.advance(days=60)
    assert len(shop.events("invoice.payment_failed")) == 5


@pytest.mark.parametrize("then", ["unpaid", "past_due"])
def test_the_account_decides_what_follows_the_last_retry(shop: Shop, then: str) -> None:
    shop.control("settings", after_retries=then)
    subscription = shop.subscribed(DECLINES_LATER)
    shop.advance_to(period(subscription)[1] + 14 * DAY)
    assert shop.subscription(subscription.id).status == then
    assert shop.invoices(subscription.id)[0].next_payment_attempt is None


def test_an_unpaid_subscription_s_next_invoices_stay_drafts(shop: Shop) -> None:
    shop.control("settings", after_retries="unpaid")
    subscription = shop.subscribed(DECLINES_LATER)
    shop.advance(days=65)
    assert [one.status for one in shop.invoices(subscription.id)] == ["draft", "open", "paid"]


def test_a_new_card_recovers_a_past_due_subscription(shop: Shop) -> None:
    subscription = shop.subscribed(DECLINES_LATER)
    shop.advance(days=32)
    card = shop.v1.payment_methods.attach("pm_card_visa", {"customer": str(subscription.customer)})
    shop.v1.subscriptions.update(subscription.id, {"default_payment_method": card.id})
    paid = shop.v1.invoices.pay(shop.invoices(subscription.id)[0].id)
    assert (paid.status, paid.attempt_count, paid.next_payment_attempt) == ("paid", 2, None)
    assert shop.subscription(subscription.id).status == "active"
    assert shop.happened()[-3:] == [
        "invoice.paid",
        "invoice.payment_succeeded",
        "customer.subscription.updated",
    ]
    shop.advance(days=31)
    assert [one.status for one in shop.invoices(subscription.id)] == ["paid"] * 3


def test_a_retry_recovers_it_once_the_card_is_another(shop: Shop) -> None:
    subscription = shop.subscribed(DECLINES_LATER)
    due = period(subscription)[1]
    shop.advance_to(due)
    card = shop.v1.payment_methods.attach("pm_card_visa", {"customer": str(subscription.customer)})
    shop.v1.subscriptions.update(subscription.id, {"default_payment_method": card.id})
    shop.advance_to(due + 3 * DAY)
    assert shop.subscription(subscription.id).status == "active"
    assert shop.invoices(subscription.id)[0].attempt_count == 2


def test_paying_by_hand_with_a_bad_card_says_so_and_leaves_the_next_retry(shop: Shop) -> None:
    subscription = shop.subscribed(DECLINES_LATER)
    shop.advance(days=32)
    before = shop.invoices(subscription.id)[0]
    with pytest.raises(stripe.CardError) as refused:
        shop.v1.invoices.pay(before.id)
    assert refused.value.code == "card_declined"
    after = shop.invoices(subscription.id)[0]
    assert after.attempt_count == before.attempt_count + 1  # a failed attempt stays
    assert after.next_payment_attempt == before.next_payment_attempt


def test_an_invoice_that_is_void_is_not_tried_again(shop: Shop) -> None:
    subscription = shop.subscribed(DECLINES_LATER)
    shop.advance(days=32)
    invoice = shop.invoices(subscription.id)[0]
    assert shop.v1.invoices.void_invoice(invoice.id).status == "void"
    shop.advance(days=14)
    assert shop.invoices(subscription.id)[0].attempt_count == 1
    with pytest.raises(stripe.InvalidRequestError):
        shop.v1.invoices.pay(invoice.id)


def test_cancelling_at_once_ends_the_retries(shop: Shop) -> None:
    subscription = shop.subscribed(DECLINES_LATER)
    shop.advance(days=32)
    assert shop.v1.subscriptions.cancel(subscription.id).status == "canceled"
    shop.advance(days=20)
    assert shop.invoices(subscription.id)[0].attempt_count == 1
    with pytest.raises(stripe.InvalidRequestError) as again:
        shop.v1.subscriptions.cancel(subscription.id)
    assert again.value.code == "resource_missing"


def test_a_trial_becomes_a_paid_period_at_its_end(shop: Shop) -> None:
    subscription = shop.subscribed()
    shop.control("subscription", id=subscription.id, status="trialing")
    assert shop.subscription(subscription.id).trial_end == period(subscription)[1]
    shop.advance(days=32)
    assert shop.subscription(subscription.id).status == "active"


@pytest.mark.parametrize(
    ("status", "event"),
    [
        ("unpaid", "updated"),
        ("paused", "paused"),
        ("incomplete", "updated"),
        ("incomplete_expired", "updated"),
        ("past_due", "updated"),
        ("canceled", "deleted"),
    ],
)
def test_a_test_can_have_any_status(shop: Shop, status: str, event: str) -> None:
    subscription = shop.subscribed()
    shop.control("subscription", id=subscription.id, status=status)
    assert shop.subscription(subscription.id).status == status
    assert shop.happened()[-1] == f"customer.subscription.{event}"


def test_an_expired_subscription_is_not_asked_for_what_it_owes(shop: Shop) -> None:
    subscription = shop.subscribed(DECLINES_LATER)
    shop.advance(days=32)
    shop.control("subscription", id=subscription.id, status="incomplete_expired")
    shop.v1.customers.delete(str(subscription.customer))
    shop.advance(days=20)
    assert shop.invoices(subscription.id)[0].attempt_count == 1


def test_what_fell_due_while_it_was_off_happens_at_its_start(tmp_path: Path) -> None:
    state, begins = tmp_path / "state.sqlite3", at("2027-05-10T12:00")
    with RunningSandbox(state, now=begins) as running:
        shop = Shop(running.base)
        subscription = shop.subscribed()
    with RunningSandbox(state, now=begins + 70 * DAY) as running:
        later = client(running.base).invoices.list({"subscription": subscription.id}).data
        assert [one.amount_paid for one in later] == [2999] * 3
        ends = period(subscription)[1]
        assert later[1].created == ends  # as of the moment at which it fell due
