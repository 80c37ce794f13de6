"""What each tier may use, as a table."""

import pytest

from billing import gates
from billing.plans import Limits
from billing.tiers import Tier

VISITOR = Limits("visitor", 5, 20, 5_000, 1, 32_768, 10_000, 1_024)
FREE = Limits("free", 10, 50, 10_000, 2, 32_768, 10_000, 1_024)
PRO = Limits("pro", None, None, None, 20, None, None, None)
PLANS = (PRO, VISITOR, FREE)
MILLION = 1_000_000

# tier: free models, pro models, tokens of a model that takes a million, of one that takes 4,096,
# a prompt of 10,000 characters, of 10,001, and whether there is a plan above
TABLE = {
    "visitor": (True, False, 32_768, 4_096, True, False, True),
    "free": (True, False, 32_768, 4_096, True, False, True),
    "pro": (True, True, MILLION, 4_096, True, True, False),
}


@pytest.mark.parametrize("limits", PLANS, ids=lambda limits: str(limits.tier))
def test_a_tier_has_what_the_table_says(limits: Limits) -> None:
    assert TABLE[limits.tier] == (
        gates.may_use(limits.tier, "free"),
        gates.may_use(limits.tier, "pro"),
        gates.context_window(limits, MILLION),
        gates.context_window(limits, 4_096),
        gates.takes_prompt(limits, 10_000),
        gates.takes_prompt(limits, 10_001),
        gates.may_upgrade(limits.tier),
    )


def test_every_tier_is_in_the_table() -> None:
    assert {tier.value for tier in Tier} == set(TABLE)


@pytest.mark.parametrize(
    ("tier", "requests", "lowest"),
    [
        ("visitor", 5, "free"),
        ("visitor", 10, "free"),
        ("visitor", 11, "pro"),
        ("free", 1, "pro"),
        ("pro", 1, None),
    ],
)
def test_the_plan_that_is_named_is_the_lowest_above_that_has_it(
    tier: str, requests: int, lowest: str | None
) -> None:
    def has(limits: Limits) -> bool:
        return limits.requests_per_hour is None or limits.requests_per_hour >= requests

    assert gates.lowest_above(tier, PLANS, has) == lowest


def test_no_plan_is_named_that_would_refuse_it_too() -> None:
    assert gates.lowest_above("visitor", PLANS, lambda limits: False) is None


def test_pro_goes_first_and_a_visitor_last() -> None:
    assert sorted(TABLE, key=gates.priority) == ["pro", "free", "visitor"]
    assert gates.priority("pro") == 0
