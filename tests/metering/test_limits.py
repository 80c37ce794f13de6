"""Requests, tokens and concurrency never exceed a limit, and what is refused costs nothing."""

import asyncio
import uuid
from collections import Counter
from dataclasses import replace

import pytest

from billing.metering.quota import Quota, QuotaBooking, QuotaRefused
from billing.plans import Limits
from tests.metering.conftest import FREE, UNLIMITED, NewQuota, a_request, limits


@pytest.fixture
def quota(new_quota: NewQuota, within_the_hour: None) -> Quota:
    return new_quota()


async def spend(
    quota: Quota, account_id: uuid.UUID, given: Limits, times: int, tokens: int = 20
) -> None:
    """That many requests, each reserved and then settled for so many tokens."""
    for _ in range(times):
        request = a_request(account_id, given)
        await quota.reserve(request)
        await quota.settle(account_id, request.request_id, charged=True, tokens=tokens)


async def used(quota: Quota, account_id: uuid.UUID) -> tuple[int, int, int, int]:
    """Requests this hour and today, tokens today, requests running."""
    counters = (await quota.peek(account_id, UNLIMITED)).counters
    return (
        counters.hour_requests,
        counters.day_requests,
        counters.day_tokens,
        counters.in_flight,
    )


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (limits(requests_per_hour=10), "requests_per_hour"),
        (limits(requests_per_day=10), "requests_per_day"),
        (limits(tokens_per_day=200), "tokens_per_day"),
        (limits(concurrent_requests=10), "concurrent_requests"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_of_300_requests_at_once_through_several_processes_10_are_admitted(
    new_quota: NewQuota, account_id: uuid.UUID, given: Limits, name: str, within_the_hour: None
) -> None:
    quotas = [new_quota() for _ in range(4)]
    outcomes = await asyncio.gather(
        *(quotas[n % 4].reserve(a_request(account_id, given)) for n in range(300)),
        return_exceptions=True,
    )
    admitted = [one for one in outcomes if isinstance(one, QuotaBooking)]
    refused = [one for one in outcomes if isinstance(one, QuotaRefused)]
    assert (len(admitted), len(refused)) == (10, 290)
    assert {one.limit.name for one in refused} == {name}
    assert await used(quotas[0], account_id) == (10, 10, 200, 10)


async def test_at_once_and_one_after_another_a_free_account_gets_ten_an_hour_two_at_a_time(
    new_quota: NewQuota, account_id: uuid.UUID, within_the_hour: None
) -> None:
    quotas = [new_quota() for _ in range(3)]
    running = most = 0
    outcomes: Counter[str] = Counter()

    async def ask(quota: Quota) -> None:
        nonlocal running, most
        request = a_request(account_id, FREE)
        try:
            await quota.reserve(request)
        except QuotaRefused as refusal:
            outcomes[refusal.limit.name] += 1
            return
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        await quota.settle(account_id, request.request_id, charged=True, tokens=15)
        outcomes["answered"] += 1

    while not outcomes["requests_per_hour"]:
        await asyncio.gather(*(ask(quotas[n % 3]) for n in range(60)))
    assert outcomes["answered"] == 10
    assert most <= 2
    assert set(outcomes) <= {"answered", "requests_per_hour", "concurrent_requests"}
    assert await used(quotas[0], account_id) == (10, 10, 150, 0)


async def test_a_refusal_books_nothing(quota: Quota, account_id: uuid.UUID) -> None:
    await spend(quota, account_id, FREE, 10)
    before = await used(quota, account_id)
    with pytest.raises(QuotaRefused):
        await quota.reserve(a_request(account_id, FREE))
    assert await used(quota, account_id) == before == (10, 10, 200, 0)


async def test_a_refusal_says_how_much_is_used_of_what_and_until_when(
    quota: Quota, account_id: uuid.UUID
) -> None:
    await spend(quota, account_id, FREE, 10)
    with pytest.raises(QuotaRefused) as refused:
        await quota.reserve(a_request(account_id, FREE))
    limit = refused.value.limit
    assert (limit.name, limit.used, limit.max, limit.remaining) == ("requests_per_hour", 10, 10, 0)
    assert limit.resets_at is not None
    assert (limit.resets_at.minute, limit.resets_at.second) == (0, 0)
    assert refused.value.usage.limits == FREE


async def test_of_several_limits_the_one_with_the_longest_wait_is_named(
    quota: Quota, account_id: uuid.UUID
) -> None:
    running = a_request(account_id, FREE)
    await quota.reserve(running)
    narrow = limits(
        requests_per_hour=1, requests_per_day=1, tokens_per_day=1, concurrent_requests=1
    )
    named = []
    for wider in (
        {},
        {"requests_per_day": None},
        {"requests_per_day": None, "tokens_per_day": None},
        {"requests_per_day": None, "tokens_per_day": None, "requests_per_hour": None},
    ):
        with pytest.raises(QuotaRefused) as refused:
            await quota.reserve(a_request(account_id, replace(narrow, **wider)))
        named.append(refused.value.limit.name)
    assert named == [
        "requests_per_day",
        "tokens_per_day",
        "requests_per_hour",
        "concurrent_requests",
    ]


async def test_a_maximum_beyond_what_is_left_is_lowered_to_it(
    quota: Quota, account_id: uuid.UUID
) -> None:
    booking = await quota.reserve(
        a_request(account_id, limits(tokens_per_day=100), prompt_tokens=30, output_tokens=500)
    )
    assert booking.output_tokens == 70
    assert booking.usage.tokens_per_day.remaining == 0


async def test_without_a_maximum_all_that_is_left_is_granted(
    quota: Quota, account_id: uuid.UUID
) -> None:
    booking = await quota.reserve(
        a_request(account_id, limits(tokens_per_day=100), prompt_tokens=30, output_tokens=None)
    )
    assert booking.output_tokens == 70


async def test_without_a_maximum_and_without_a_limit_none_is_set(
    quota: Quota, account_id: uuid.UUID
) -> None:
    booking = await quota.reserve(a_request(account_id, UNLIMITED, output_tokens=None))
    assert booking.output_tokens is None
    assert booking.usage.counters.day_tokens == 10


async def test_a_prompt_that_leaves_no_room_for_the_least_answer_is_refused(
    quota: Quota, account_id: uuid.UUID
) -> None:
    given = limits(tokens_per_day=100)
    with pytest.raises(QuotaRefused) as refused:
        await quota.reserve(a_request(account_id, given, prompt_tokens=98, least_output_tokens=3))
    assert refused.value.limit.name == "tokens_per_day"
    assert refused.value.tokens_needed == 101
    booking = await quota.reserve(
        a_request(account_id, given, prompt_tokens=97, least_output_tokens=3)
    )
    assert booking.output_tokens == 3


async def test_the_unused_part_of_a_reservation_comes_back(
    quota: Quota, account_id: uuid.UUID
) -> None:
    request = a_request(account_id, FREE, prompt_tokens=100, output_tokens=1_000)
    await quota.reserve(request)
    assert await used(quota, account_id) == (1, 1, 1_100, 1)
    await quota.settle(account_id, request.request_id, charged=True, tokens=130)
    assert await used(quota, account_id) == (1, 1, 130, 0)


async def test_a_request_that_is_not_charged_leaves_the_counters_as_they_were(
    quota: Quota, account_id: uuid.UUID
) -> None:
    await spend(quota, account_id, FREE, 3)
    before = await used(quota, account_id)
    request = a_request(account_id, FREE)
    await quota.reserve(request)
    await quota.settle(account_id, request.request_id, charged=False, tokens=0)
    assert await used(quota, account_id) == before


async def test_settling_twice_or_from_everywhere_at_once_counts_once(
    new_quota: NewQuota, account_id: uuid.UUID, within_the_hour: None
) -> None:
    quotas = [new_quota() for _ in range(5)]
    request = a_request(account_id, FREE)
    await quotas[0].reserve(request)
    settlements = [
        quota.settle(account_id, request.request_id, charged=charged, tokens=13)
        for quota in quotas
        for charged in (True, True)
    ]
    await asyncio.gather(*settlements)
    assert await used(quotas[0], account_id) == (1, 1, 13, 0)


async def test_only_the_first_settlement_counts(quota: Quota, account_id: uuid.UUID) -> None:
    request = a_request(account_id, FREE)
    await quota.reserve(request)
    await quota.settle(account_id, request.request_id, charged=False, tokens=0)
    await quota.settle(account_id, request.request_id, charged=True, tokens=13)
    assert await used(quota, account_id) == (0, 0, 0, 0)


async def test_settling_what_was_never_booked_changes_nothing(
    quota: Quota, account_id: uuid.UUID
) -> None:
    await spend(quota, account_id, FREE, 2)
    await quota.settle(account_id, uuid.uuid4(), charged=True, tokens=13)
    assert await used(quota, account_id) == (2, 2, 40, 0)


@pytest.mark.parametrize("output_tokens", [10, None])
@pytest.mark.parametrize("given", [FREE, UNLIMITED], ids=["limited", "unlimited"])
async def test_booking_the_same_request_again_books_once_and_answers_the_same(
    quota: Quota, account_id: uuid.UUID, given: Limits, output_tokens: int | None
) -> None:
    request = a_request(account_id, given, output_tokens=output_tokens)
    first = await quota.reserve(request)
    again = await quota.reserve(request)
    assert again.output_tokens == first.output_tokens
    assert again.usage.counters.in_flight == first.usage.counters.in_flight == 1
    assert again.usage.counters.day_tokens == first.usage.counters.day_tokens


async def test_accounts_do_not_share_counters(quota: Quota) -> None:
    one, other = uuid.uuid4(), uuid.uuid4()
    await spend(quota, one, FREE, 10)
    await quota.reserve(a_request(other, FREE))
    assert await used(quota, other) == (1, 1, 20, 1)


async def test_looking_costs_nothing_at_any_quota(quota: Quota, account_id: uuid.UUID) -> None:
    await spend(quota, account_id, FREE, 10)
    for _ in range(20):
        usage = await quota.peek(account_id, FREE)
    assert (usage.requests_per_hour.used, usage.requests_per_day.used) == (10, 10)
    assert usage.concurrent_requests.used == 0


async def test_new_limits_act_on_the_next_request(quota: Quota, account_id: uuid.UUID) -> None:
    await spend(quota, account_id, FREE, 10)
    with pytest.raises(QuotaRefused):
        await quota.reserve(a_request(account_id, FREE))
    await quota.reserve(a_request(account_id, UNLIMITED))


async def test_every_booking_names_its_account_request_process_and_deadline(
    new_quota: NewQuota,
) -> None:
    process_id = uuid.uuid4()
    quota = new_quota(process_id=process_id)
    requests = [a_request(uuid.uuid4(), deadline_ms=1_000 + n) for n in range(30)]
    for request in requests:
        await quota.reserve(request)
    assert {
        (one.account_id, one.request_id, one.process_id, one.deadline_ms)
        for one in await quota.held()
    } == {(one.account_id, one.request_id, process_id, one.deadline_ms) for one in requests}
