"""Which days count as heavy use of the free plan, which a discount rests on."""

import datetime as dt
from dataclasses import replace

import pytest

from billing.payments import checkout
from billing.payments.heavy_use import heavy_days
from tests.billing.test_checkout import IDLE
from tests.conftest import Person
from tests.metering.conftest import FREE
from tests.pages.spending import spend

pytestmark = pytest.mark.django_db(transaction=True)
NOW = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)


@pytest.mark.parametrize(
    ("requests", "tokens", "heavy"),
    [(40, 1, 1), (39, 1, 0), (4, 2_000, 1), (4, 1_999, 0), (0, 0, 0)],
)
def test_a_day_is_heavy_from_80_per_cent_of_its_requests_or_tokens_on(
    bob: Person, requests: int, tokens: int, heavy: int
) -> None:
    spend(bob.account_id, requests, tokens=tokens, at=NOW)
    assert heavy_days(bob.account_id, FREE, NOW) == heavy


def test_seven_days_count_with_today_and_none_before(bob: Person) -> None:
    for days in (0, 1, 6, 7, 8):
        spend(bob.account_id, 40, tokens=1, at=NOW - days * DAY)
    assert heavy_days(bob.account_id, FREE, NOW) == 3


def test_days_are_those_of_utc(bob: Person) -> None:
    midnight = NOW.replace(hour=0)
    spend(bob.account_id, 20, tokens=1, at=midnight - dt.timedelta(seconds=1))
    spend(bob.account_id, 20, tokens=1, at=midnight)
    assert heavy_days(bob.account_id, FREE, NOW) == 0


def test_what_was_not_charged_or_was_used_on_pro_or_by_others_is_not_counted(
    bob: Person, alice: Person
) -> None:
    spend(bob.account_id, 40, at=NOW, charged=False, status="failed")
    spend(bob.account_id, 40, at=NOW - DAY, tier="pro")
    spend(alice.account_id, 40, at=NOW)
    assert heavy_days(bob.account_id, FREE, NOW) == 0


def test_a_plan_without_limits_is_never_used_heavily(bob: Person) -> None:
    spend(bob.account_id, 40, at=NOW)
    without = replace(FREE, requests_per_day=None, tokens_per_day=None)
    assert heavy_days(bob.account_id, without, NOW) == 0


def test_three_heavy_days_are_15_per_cent_off_the_first_month(bob: Person) -> None:
    now = dt.datetime.now(dt.UTC)
    for days in (1, 2, 3):
        spend(bob.account_id, 40, tokens=1, at=now - days * DAY)
    assert checkout.offers_for(bob.user, IDLE).monthly.total_cents == 1274


def test_the_first_of_seven_days_counts_from_its_midnight_on(bob: Person) -> None:
    first = NOW.replace(hour=0) - 6 * DAY
    spend(bob.account_id, 39, tokens=1, at=first)
    spend(bob.account_id, 1, tokens=1, at=first - dt.timedelta(milliseconds=1))
    assert heavy_days(bob.account_id, FREE, NOW) == 0
    spend(bob.account_id, 1, tokens=1, at=first)
    assert heavy_days(bob.account_id, FREE, NOW) == 1


def test_two_heavy_days_take_nothing_off(bob: Person) -> None:
    now = dt.datetime.now(dt.UTC)
    for days in (1, 2):
        spend(bob.account_id, 40, tokens=1, at=now - days * DAY)
    assert checkout.offers_for(bob.user, IDLE).monthly.total_cents == 1499
