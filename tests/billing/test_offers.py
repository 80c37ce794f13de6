"""The first payment, to the cent, against a table that was worked out by hand."""

import datetime as dt

import pytest

from billing.payments.catalogue import ANNUAL, MONTHLY, PRICES
from billing.payments.offers import History, Offer, ReferralClaim, Usage, offer

NOW = dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)

NOTHING = (Usage(), None)
NEAR = (Usage(share=0.8), None)
HEAVY = (Usage(heavy_days=3), None)
FRIEND = (Usage(), ReferralClaim())
NEAR_AND_FRIEND = (Usage(share=0.8), ReferralClaim())
HEAVY_AND_FRIEND = (Usage(heavy_days=3), ReferralClaim())
HEAVY_AND_NEAR = (Usage(share=1.0, heavy_days=7), None)
EVERYTHING = (Usage(share=1.0, heavy_days=7), ReferralClaim())

# what earns it, monthly for the first time, monthly again, annual (the same, first or not)
BY_HAND = [
    (NOTHING, 1499, 2999, 28790),
    (NEAR, 1349, 2699, 25911),
    (HEAVY, 1274, 2549, 24471),  # 1499 less 224.85; 28790 less 4318.50
    (FRIEND, 1199, 2399, 23032),
    (NEAR_AND_FRIEND, 1199, 2399, 23032),
    (HEAVY_AND_FRIEND, 1199, 2399, 23032),
    (HEAVY_AND_NEAR, 1274, 2549, 24471),
    (EVERYTHING, 1199, 2399, 23032),
]


def offered(
    price_key: str,
    earned: tuple[Usage, ReferralClaim | None] = NOTHING,
    history: History | None = None,
) -> Offer:
    usage, referral = earned
    return offer(
        price=PRICES[price_key],
        usage=usage,
        referral=referral,
        history=history or History(),
        now=NOW,
    )


@pytest.mark.parametrize(("earned", "first", "again", "annual"), BY_HAND)
def test_every_combination_costs_what_was_worked_out_by_hand(
    earned: tuple[Usage, ReferralClaim | None], first: int, again: int, annual: int
) -> None:
    paid = History(has_paid=True)
    assert offered(MONTHLY.key, earned).total_cents == first
    assert offered(MONTHLY.key, earned, paid).total_cents == again
    assert offered(ANNUAL.key, earned).total_cents == annual
    assert offered(ANNUAL.key, earned, paid).total_cents == annual


def test_the_annual_price_is_twelve_months_less_a_fifth() -> None:
    assert ANNUAL.cents == round(MONTHLY.cents * 12 * 0.8)


def test_the_lines_add_up_and_say_what_they_are_for() -> None:
    first = offered(MONTHLY.key, FRIEND)
    assert [line.cents for line in first.lines] == [2999, -1500, -300]
    assert first.off_cents == 1800
    assert first.reason == "First month at half price, Recommended by a friend"


@pytest.mark.parametrize(("left", "total"), [(6, 2999), (5, 2699), (0, 2699), (None, 2999)])
def test_five_requests_left_is_near_the_limit(left: int | None, total: int) -> None:
    earned = (Usage(requests_left=left), None)
    assert offered(MONTHLY.key, earned, History(has_paid=True)).total_cents == total


@pytest.mark.parametrize(("usage", "total"), [(0.79, 2999), (0.8, 2699)])
def test_eighty_per_cent_is_near_the_limit(usage: float, total: int) -> None:
    earned = (Usage(share=usage), None)
    assert offered(MONTHLY.key, earned, History(has_paid=True)).total_cents == total


def test_two_heavy_days_are_not_a_habit() -> None:
    assert offered(ANNUAL.key, (Usage(heavy_days=2), None)).total_cents == 28790


def test_a_discount_that_was_shown_is_held_to_its_last_moment() -> None:
    held = History(has_paid=True, held="heavy_use", held_until=NOW + SECOND)
    good = offered(MONTHLY.key, history=held)
    assert (good.total_cents, good.held_until) == (2549, NOW + SECOND)
    over = History(has_paid=True, held="heavy_use", held_until=NOW)
    assert offered(MONTHLY.key, history=over).total_cents == 2999


def test_a_better_discount_counts_before_a_held_one() -> None:
    held = History(held="near_limit", held_until=NOW + SECOND)
    best = offered(ANNUAL.key, FRIEND, held)
    assert (best.total_cents, best.held_until) == (23032, None)


def test_a_held_name_that_is_no_discount_gives_nothing() -> None:
    held = History(has_paid=True, held="first_month", held_until=NOW + SECOND)
    assert offered(MONTHLY.key, history=held).total_cents == 2999


def test_an_expired_referral_gives_nothing() -> None:
    expired = (Usage(), ReferralClaim(good_until=NOW))
    assert offered(ANNUAL.key, expired).total_cents == 28790
