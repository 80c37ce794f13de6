"""Windows are UTC clock hours and days, by the counter store's clock; nothing resets them."""

import datetime as dt
import uuid

import pytest

from billing.metering.quota import Quota, QuotaRefused
from billing.metering.usage import Counters, Usage
from billing.plans import Limits
from tests.metering.conftest import (
    DAY_MS,
    FREE,
    HOUR_MS,
    UNLIMITED,
    NewQuota,
    a_request,
    limits,
)

NOON_MS = 20_000 * DAY_MS + 12 * HOUR_MS
MIDNIGHT_MS = 20_001 * DAY_MS


@pytest.fixture
def quota(new_quota: NewQuota) -> Quota:
    return new_quota(clock_ms=NOON_MS)


async def book(quota: Quota, account_id: uuid.UUID, given: Limits = UNLIMITED) -> uuid.UUID:
    request = a_request(account_id, given)
    await quota.reserve(request)
    return request.request_id


async def used(quota: Quota, account_id: uuid.UUID) -> tuple[int, int, int, int]:
    """Requests this hour and today, tokens today, requests running."""
    counters = (await quota.peek(account_id, UNLIMITED)).counters
    return (
        counters.hour_requests,
        counters.day_requests,
        counters.day_tokens,
        counters.in_flight,
    )


async def test_a_new_hour_starts_at_nought_and_the_day_goes_on(
    quota: Quota, account_id: uuid.UUID
) -> None:
    given = limits(requests_per_hour=3)
    for _ in range(3):
        request_id = await book(quota, account_id, given)
        await quota.settle(account_id, request_id, charged=True, tokens=20)
    quota.clock_ms = NOON_MS + HOUR_MS - 1
    with pytest.raises(QuotaRefused):
        await book(quota, account_id, given)
    quota.clock_ms += 1
    await book(quota, account_id, given)
    assert await used(quota, account_id) == (1, 4, 80, 1)


@pytest.mark.parametrize(
    "given", [limits(requests_per_day=3), limits(tokens_per_day=60)], ids=["requests", "tokens"]
)
async def test_a_new_day_starts_at_nought(
    quota: Quota, account_id: uuid.UUID, given: Limits
) -> None:
    for _ in range(3):
        await book(quota, account_id, given)
    quota.clock_ms = MIDNIGHT_MS - 1
    with pytest.raises(QuotaRefused):
        await book(quota, account_id, given)
    quota.clock_ms = MIDNIGHT_MS
    await book(quota, account_id, given)
    assert await used(quota, account_id) == (1, 1, 20, 4)


async def test_a_request_that_runs_into_the_next_hour_counts_in_the_one_it_began_in(
    quota: Quota, account_id: uuid.UUID
) -> None:
    request_id = await book(quota, account_id)
    quota.clock_ms += HOUR_MS
    await book(quota, account_id)
    await quota.settle(account_id, request_id, charged=True, tokens=15)
    assert await used(quota, account_id) == (1, 2, 35, 1)
    quota.clock_ms -= 1  # a clock that is set back doesn't bring the old hour back
    assert await used(quota, account_id) == (1, 2, 35, 1)


async def test_a_request_that_runs_into_the_next_day_counts_in_the_one_it_began_in(
    quota: Quota, account_id: uuid.UUID
) -> None:
    quota.clock_ms = MIDNIGHT_MS - 1
    request_id = await book(quota, account_id)
    quota.clock_ms = MIDNIGHT_MS
    assert await used(quota, account_id) == (0, 0, 0, 1)
    await quota.settle(account_id, request_id, charged=True, tokens=15)
    assert await used(quota, account_id) == (0, 0, 0, 0)


async def test_a_refund_from_the_last_hour_takes_nothing_from_this_one(
    quota: Quota, account_id: uuid.UUID
) -> None:
    request_id = await book(quota, account_id)
    quota.clock_ms += HOUR_MS
    await book(quota, account_id)
    await quota.settle(account_id, request_id, charged=False, tokens=0)
    assert await used(quota, account_id) == (1, 1, 20, 1)


async def test_concurrency_knows_no_hours(quota: Quota, account_id: uuid.UUID) -> None:
    await book(quota, account_id, FREE)
    await book(quota, account_id, FREE)
    quota.clock_ms = MIDNIGHT_MS
    with pytest.raises(QuotaRefused) as refused:
        await book(quota, account_id, FREE)
    assert refused.value.limit.name == "concurrent_requests"
    assert refused.value.limit.resets_at is None


def usage_at(moment: dt.datetime, **used: int) -> Usage:
    counters = {"hour_requests": 0, "day_requests": 0, "day_tokens": 0, "in_flight": 0, **used}
    return Usage(FREE, Counters(int(moment.timestamp() * 1000), **counters))


def test_an_hour_resets_on_the_hour_and_a_day_at_midnight_utc() -> None:
    usage = usage_at(dt.datetime(2026, 11, 22, 12, 53, 20, tzinfo=dt.UTC))
    assert usage.requests_per_hour.resets_at == dt.datetime(2026, 11, 22, 13, tzinfo=dt.UTC)
    assert usage.requests_per_hour.resets_in_seconds == 400
    assert usage.requests_per_day.resets_at == dt.datetime(2026, 11, 23, tzinfo=dt.UTC)
    assert usage.tokens_per_day.resets_in_seconds == 40_000


def test_the_seconds_to_a_reset_are_rounded_up_so_that_waiting_them_suffices() -> None:
    usage = usage_at(dt.datetime(2026, 11, 22, 12, 59, 59, 1_000, tzinfo=dt.UTC))
    assert usage.requests_per_hour.resets_in_seconds == 1
    usage = usage_at(dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC))
    assert usage.requests_per_hour.resets_in_seconds == 3_600


def test_the_window_that_is_fullest_binds() -> None:
    now = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
    assert usage_at(now, hour_requests=5, day_tokens=6_000).binding.name == "tokens_per_day"
    assert usage_at(now, hour_requests=7, day_tokens=6_000).binding.name == "requests_per_hour"


def test_of_hour_and_day_the_one_that_leaves_fewer_requests_binds() -> None:
    now = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
    limit = usage_at(now, hour_requests=4, day_requests=42).binding_requests
    assert (limit.name, limit.remaining) == ("requests_per_hour", 6)
    limit = usage_at(now, hour_requests=4, day_requests=47).binding_requests
    assert (limit.name, limit.remaining) == ("requests_per_day", 3)


def test_a_limit_that_was_lowered_below_what_is_used_leaves_nothing_rather_than_less() -> None:
    usage = usage_at(dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC), hour_requests=12)
    assert (usage.requests_per_hour.remaining, usage.requests_per_hour.share) == (0, 1.0)


def test_without_a_limit_nothing_binds_and_nothing_runs_out() -> None:
    counters = Counters(NOON_MS, 1_000, 1_000, 1_000_000, 3)
    usage = Usage(UNLIMITED, counters)
    assert usage.binding_requests.remaining is None
    assert [state.remaining for state in usage.windows] == [None, None, None]
    assert usage.binding.share == 0.0
