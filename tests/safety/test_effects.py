"""What is left of the limits under an effect, and whom it holds for."""

import datetime as dt
from dataclasses import replace

import pytest

from billing.plans import Limits
from gateway.safety.effects import Effect, throttled

FREE = Limits("free", 10, 50, 10_000, 2, 32_768, 10_000, 1_024)
PRO = Limits("pro", None, None, None, 20, None, None, None)
NOW = dt.datetime(2026, 11, 27, 12, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


def effect(*, of_address: bool = False, blocks: bool = False, confirmed: bool = False) -> Effect:
    return Effect(1, of_address, blocks, NOW, NOW + HOUR, ("many",), confirmed)


def test_a_quarter_is_left_and_one_at_least() -> None:
    left = throttled(FREE, (effect(),))

    assert (left.requests_per_hour, left.concurrent_requests) == (2, 1)
    assert (left.requests_per_day, left.tokens_per_day) == (50, 10_000)


def test_where_there_was_no_limit_there_is_one() -> None:
    left = throttled(PRO, (effect(confirmed=True),))

    assert (left.requests_per_hour, left.concurrent_requests) == (60, 5)


def test_an_addresss_effect_is_on_its_own_limits_and_leaves_the_accounts() -> None:
    at_home = replace(
        FREE,
        address_requests_per_minute=30,
        address_requests_per_hour=100,
        address_accounts_per_hour=2,
    )
    left = throttled(at_home, (effect(of_address=True),))

    assert (left.requests_per_hour, left.concurrent_requests) == (10, 2)
    assert (left.address_requests_per_minute, left.address_requests_per_hour) == (7, 25)
    assert left.address_accounts_per_hour == 1


def test_who_is_blocked_has_the_limits_of_the_plan_to_look_at() -> None:
    assert throttled(FREE, (effect(blocks=True),)) == FREE


@pytest.mark.parametrize(
    ("one", "tier", "acts"),
    [
        (effect(), "free", True),
        (effect(), "visitor", True),
        (effect(), "pro", False),
        (effect(confirmed=True), "pro", True),
        (effect(of_address=True, confirmed=True), "pro", False),
        (effect(of_address=True), "free", True),
    ],
)
def test_who_pays_is_left_alone_until_staff_confirm(one: Effect, tier: str, acts: bool) -> None:
    assert one.acts_on(tier, NOW) is acts
    assert not one.acts_on(tier, NOW + HOUR)
