"""Which days count as heavy: a discount of 15 % rests on three of them."""

import datetime as dt
import uuid
from dataclasses import replace

import pytest

from billing.payments import checkout
from billing.payments.heavy_use import heavy_days
from billing.plans import Limits
from tests.billing.test_checkout import FREE, IDLE
from tests.conftest import Person
from tests.pages.spending import spend

DAY = dt.timedelta(days=1)
MIDNIGHT = dt.datetime.combine(dt.datetime.now(dt.UTC).date(), dt.time(), dt.UTC)
NOON = MIDNIGHT + DAY / 2
MOMENT = dt.timedelta(milliseconds=1)
BOB = uuid.uuid4()


def days(limits: Limits = FREE, account_id: uuid.UUID = BOB) -> int:
    return heavy_days(account_id, limits, NOON)


@pytest.mark.parametrize(("requests", "heavy"), [(39, 0), (40, 1), (50, 1)])
def test_four_in_five_of_a_day_s_requests_make_it_heavy(
    requests: int, heavy: int, db: None
) -> None:
    spend(BOB, requests, tokens=10, at=MIDNIGHT)
    assert days() == heavy


@pytest.mark.parametrize(("tokens", "heavy"), [(3_999, 0), (4_000, 1)])
def test_so_do_four_in_five_of_its_tokens_prompts_and_completions_together(
    tokens: int, heavy: int, db: None
) -> None:
    spend(BOB, 2, tokens=tokens, at=MIDNIGHT)
    assert days() == heavy


def test_a_day_with_both_is_one_day(db: None) -> None:
    spend(BOB, 40, tokens=200, at=MIDNIGHT)
    assert days() == 1


def test_seven_days_count_today_included_from_a_midnight_on(db: None) -> None:
    for back in range(7):
        spend(BOB, 1, tokens=8_000, at=MIDNIGHT - back * DAY)
        assert days() == back + 1
    spend(BOB, 1, tokens=8_000, at=MIDNIGHT - 6 * DAY - MOMENT)
    assert days() == 7


def test_a_day_ends_at_midnight_by_utc(db: None) -> None:
    spend(BOB, 1, tokens=4_000, at=MIDNIGHT - MOMENT)
    spend(BOB, 1, tokens=4_000, at=MIDNIGHT)
    assert days() == 0
    spend(BOB, 1, tokens=4_000, at=MIDNIGHT)
    assert days() == 1


def test_what_cost_nothing_and_what_others_used_does_not_count(db: None) -> None:
    spend(BOB, 1, tokens=8_000, at=MIDNIGHT, charged=False)
    spend(uuid.uuid4(), 1, tokens=8_000, at=MIDNIGHT)
    assert days() == 0


@pytest.mark.parametrize(
    ("limits", "heavy"),
    [
        (replace(FREE, requests_per_day=None, tokens_per_day=None), 0),
        (replace(FREE, requests_per_day=None), 1),
        (replace(FREE, tokens_per_day=None), 0),
    ],
)
def test_only_a_limit_that_there_is_can_be_come_close_to(
    limits: Limits, heavy: int, db: None
) -> None:
    spend(BOB, 1, tokens=1_000_000, at=MIDNIGHT)
    assert days(limits) == heavy


@pytest.mark.parametrize(("heavy", "cents"), [(2, 1499), (3, 1274)])
def test_three_heavy_days_take_fifteen_per_cent_off_what_is_offered(
    heavy: int, cents: int, bob: Person
) -> None:
    for back in range(1, heavy + 1):
        spend(bob.account_id, 1, tokens=8_000, at=NOON - back * DAY)
    assert checkout.offers_for(bob.user, IDLE).monthly.total_cents == cents
