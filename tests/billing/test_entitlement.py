"""What Stripe's state gives: the whole table, at each boundary, in any order."""

import datetime as dt
import itertools
from typing import Any

import pytest

from billing.payments.catalogue import MONTHLY
from billing.payments.entitlement import GRACE, Entitlement, entitlement
from billing.payments.states import CustomerState, InvoiceState, SubscriptionState

NOW = dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
SECOND = dt.timedelta(seconds=1)
RENEWS = NOW + 20 * DAY


def invoice(**fields: Any) -> InvoiceState:
    plain = {"id": "in_1", "status": "paid", "created_at": NOW - 10 * DAY}
    return InvoiceState(**{**plain, "due_cents": 2999, "paid_cents": 2999, **fields})


def subscription(status: str = "active", **fields: Any) -> SubscriptionState:
    plain = {
        "id": "sub_1",
        "created_at": NOW - 40 * DAY,
        "price_key": MONTHLY.key,
        "period_starts_at": NOW - 10 * DAY,
        "period_ends_at": RENEWS,
        "invoices": (invoice(),),
    }
    return SubscriptionState(status=status, **{**plain, **fields})


def given(*subscriptions: SubscriptionState, now: dt.datetime = NOW) -> Entitlement:
    return entitlement(CustomerState("cus_1", subscriptions), now)


def test_nobody_s_subscription_gives_the_free_tier() -> None:
    assert (given().tier, given().ends_at) == ("free", None)


@pytest.mark.parametrize("status", ["active", "trialing"])
def test_what_renews_gives_pro_past_its_period_by_the_grace(status: str) -> None:
    found = given(subscription(status))
    assert (found.tier, found.ends_at) == ("pro", RENEWS + GRACE)


@pytest.mark.parametrize(
    "status", ["unpaid", "canceled", "incomplete", "incomplete_expired", "paused", "new_at_stripe"]
)
def test_every_other_status_gives_free(status: str) -> None:
    found = given(subscription(status))
    assert (found.tier, found.ends_at, found.reason) == ("free", None, status)


@pytest.mark.parametrize(
    ("after", "tier"), [(dt.timedelta(), "pro"), (GRACE - SECOND, "pro"), (GRACE, "free")]
)
def test_an_unpaid_renewal_gives_pro_for_the_grace(after: dt.timedelta, tier: str) -> None:
    unpaid = invoice(status="open", paid_cents=0, created_at=NOW)
    late = subscription(
        "past_due", period_starts_at=NOW, period_ends_at=NOW + 30 * DAY, invoices=(unpaid,)
    )
    assert given(late, now=NOW + after).tier == tier


@pytest.mark.parametrize(
    ("before", "tier"), [(SECOND, "pro"), (dt.timedelta(), "free"), (-SECOND, "free")]
)
def test_a_cancelled_one_gives_pro_to_its_very_end(before: dt.timedelta, tier: str) -> None:
    assert given(subscription(cancels_at=RENEWS), now=RENEWS - before).tier == tier


def test_a_cancelled_one_that_is_past_due_ends_at_the_earlier_moment() -> None:
    late = subscription("past_due", period_starts_at=NOW, cancels_at=NOW + DAY)
    assert given(late).ends_at == NOW + DAY


def test_a_resumed_one_renews_again() -> None:
    assert given(subscription(cancels_at=None)).ends_at == RENEWS + GRACE


@pytest.mark.parametrize(("refunded", "tier"), [(0, "pro"), (2998, "pro"), (2999, "free")])
def test_only_a_full_refund_of_the_period_ends_the_tier(refunded: int, tier: str) -> None:
    assert given(subscription(invoices=(invoice(refunded_cents=refunded),))).tier == tier


def test_a_period_that_cost_nothing_is_not_refunded() -> None:
    free_month = invoice(due_cents=0, paid_cents=0)
    assert given(subscription(invoices=(free_month,))).tier == "pro"


@pytest.mark.parametrize(
    ("status", "tier", "flagged"),
    [
        ("needs_response", "pro", True),
        ("under_review", "pro", True),
        ("won", "pro", False),
        ("warning_closed", "pro", False),
        ("prevented", "pro", False),
        ("lost", "free", False),
    ],
)
def test_a_dispute_flags_and_a_lost_one_ends_the_tier(
    status: str, tier: str, flagged: bool
) -> None:
    found = given(subscription(invoices=(invoice(dispute=status),)))
    assert (found.tier, found.disputed) == (tier, flagged)


def test_a_dispute_of_what_has_ended_stays_flagged_until_it_is_decided() -> None:
    ended = subscription("canceled", id="sub_0", earlier_disputes=("under_review",))
    assert given(subscription(), ended).disputed
    assert not given(subscription(), subscription("canceled", earlier_disputes=("won",))).disputed


@pytest.mark.parametrize("status", ["active", "past_due", "unpaid", "paused"])
def test_a_payment_of_any_period_that_is_lost_voids_what_goes_on(status: str) -> None:
    found = given(subscription(status, earlier_disputes=("lost",)))
    assert (found.tier, found.reason) == ("free", "dispute lost")
    assert [one.id for one in found.void] == ["sub_1"]


def test_a_payment_that_was_lost_voids_no_other_subscription() -> None:
    found = given(subscription("canceled", earlier_disputes=("lost",)), subscription(id="sub_2"))
    assert (found.tier, found.void, found.surplus) == ("pro", (), ())


def test_a_price_of_somebody_else_gives_nothing() -> None:
    assert given(subscription(price_key="")).tier == "free"


def test_of_two_the_oldest_that_pays_stays_in_any_order() -> None:
    old = subscription(id="sub_old")
    new = subscription(id="sub_new", created_at=NOW)
    owing = subscription("past_due", id="sub_owing", created_at=NOW - 90 * DAY)
    ended = subscription("canceled", id="sub_ended", created_at=NOW - 99 * DAY)
    for order in itertools.permutations((old, new, owing, ended)):
        found = given(*order)
        assert found.subscription == old
        assert {one.id for one in found.surplus} == {"sub_new", "sub_owing"}


def test_a_past_due_one_by_itself_has_nothing_beside_it() -> None:
    assert given(subscription("past_due")).surplus == ()


def test_nothing_is_surplus_beside_what_gives_nothing() -> None:
    assert given(subscription("unpaid"), subscription("unpaid", id="sub_2")).surplus == ()
