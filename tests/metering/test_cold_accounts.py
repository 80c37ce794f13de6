"""Postgres is the truth: what Redis forgets is summed from the ledger, and no decision changes."""

import asyncio
import datetime as dt
import uuid

import pytest
import redis

from accounts.postgres import PostgresUnavailable, ReadPool
from billing.metering.ledger import LedgerWriter
from billing.metering.quota import Quota, QuotaRefused, QuotaRequest
from billing.metering.sums import Booking, LedgerSum, LedgerSums
from tests.metering.conftest import (
    DAY_MS,
    FREE,
    HOUR_MS,
    UNLIMITED,
    NewQuota,
    NothingSpent,
    a_request,
    an_intent,
    failed,
    settled,
)

PATIENCE = 5.0
NOON = dt.datetime(2026, 11, 22, 12, 30, tzinfo=dt.UTC)
NOON_MS = int(NOON.timestamp() * 1000)


@pytest.fixture
def sums(reads: ReadPool) -> LedgerSums:
    return LedgerSums(reads)


async def used(quota: Quota, account_id: uuid.UUID) -> tuple[int, int, int, int]:
    """Requests this hour and today, tokens today, requests running."""
    counters = (await quota.peek(account_id, UNLIMITED)).counters
    return (
        counters.hour_requests,
        counters.day_requests,
        counters.day_tokens,
        counters.in_flight,
    )


class SlowLedger:
    """A ledger whose sums are taken at once and arrive when a test lets them."""

    def __init__(self, held: LedgerSum) -> None:
        self.held = held
        self.asked = asyncio.Event()
        self.arrives = asyncio.Event()
        self.times_asked = 0

    async def sum_account(self, account_id: uuid.UUID, at_ms: int) -> LedgerSum:
        held = self.held
        self.times_asked += 1
        self.asked.set()
        await self.arrives.wait()
        return held


def summed(requests: int, tokens: int, *running: QuotaRequest, at_ms: int = NOON_MS) -> LedgerSum:
    hour, day = at_ms // HOUR_MS, at_ms // DAY_MS
    bookings = tuple(
        Booking(one.request_id, hour, day, 20, uuid.uuid4(), one.deadline_ms) for one in running
    )
    return LedgerSum(hour, requests, day, requests, tokens, bookings)


# Sums -----------------------------------------------------------------------------------------


async def test_a_sum_holds_the_hour_the_day_and_what_is_running(
    ledger: LedgerWriter, sums: LedgerSums, account_id: uuid.UUID
) -> None:
    def at(**ago: int) -> dt.datetime:
        return NOON - dt.timedelta(**ago)

    rows = {
        "this hour": an_intent(account_id=account_id, admitted_at=at(minutes=5)),
        "earlier today": an_intent(account_id=account_id, admitted_at=at(hours=3)),
        "failed": an_intent(account_id=account_id, admitted_at=at(minutes=5)),
        "yesterday": an_intent(account_id=account_id, admitted_at=at(hours=13)),
        "running": an_intent(account_id=account_id, admitted_at=at(minutes=31)),
        "somebody else's": an_intent(admitted_at=at(minutes=5)),
    }
    await asyncio.gather(*map(ledger.open, rows.values()))
    for name in ("this hour", "earlier today", "yesterday", "somebody else's"):
        await ledger.end(settled(rows[name].id), patience=PATIENCE)
    await ledger.end(failed(rows["failed"].id, prompt_tokens=7), patience=PATIENCE)
    running = rows["running"]
    assert await sums.sum_account(account_id, NOON_MS) == LedgerSum(
        hour=NOON_MS // HOUR_MS,
        hour_requests=1,
        day=NOON_MS // DAY_MS,
        day_requests=3,
        day_tokens=12 + 12 + 20,
        running=(
            Booking(
                request_id=running.id,
                hour=NOON_MS // HOUR_MS - 1,
                day=NOON_MS // DAY_MS,
                tokens=20,
                process_id=running.process_id,
                deadline_ms=int(running.deadline_at.timestamp() * 1000),
            ),
        ),
    )


async def test_the_sum_of_an_account_without_rows_is_nought(
    sums: LedgerSums, account_id: uuid.UUID
) -> None:
    assert await sums.sum_account(account_id, NOON_MS) == summed(0, 0)


@pytest.mark.parametrize("milliseconds", [0, 1, 499, 999])
async def test_a_request_of_the_hours_first_moment_is_in_that_hour(
    ledger: LedgerWriter, sums: LedgerSums, account_id: uuid.UUID, milliseconds: int
) -> None:
    hour_ms = NOON_MS // HOUR_MS * HOUR_MS
    admitted_at = dt.datetime.fromtimestamp((hour_ms + milliseconds) / 1000, dt.UTC)
    await ledger.open(an_intent(account_id=account_id, admitted_at=admitted_at))
    held = await sums.sum_account(account_id, hour_ms + 999)
    assert held.hour_requests == 1
    assert held.running[0].hour == hour_ms // HOUR_MS


# Cold accounts ----------------------------------------------------------------------------------


async def test_an_account_that_redis_knows_nothing_of_is_unknown_and_not_zero(
    new_quota: NewQuota, ledger: LedgerWriter, sums: LedgerSums, account_id: uuid.UUID
) -> None:
    now = dt.datetime.now(dt.UTC)
    for _ in range(10):
        intent = an_intent(account_id=account_id, admitted_at=now)
        await ledger.open(intent)
        await ledger.end(settled(intent.id), patience=PATIENCE)
    quota = new_quota(sums, clock_ms=int(now.timestamp() * 1000))
    with pytest.raises(QuotaRefused) as refused:
        await quota.reserve(a_request(account_id, FREE))
    assert refused.value.limit.name == "requests_per_hour"
    assert await used(quota, account_id) == (10, 10, 120, 0)


async def test_a_running_request_that_redis_forgot_is_settled_as_if_it_had_not(
    new_quota: NewQuota, account_id: uuid.UUID
) -> None:
    running = a_request(account_id)
    quota = new_quota(SlowLedger(summed(3, 100, running)), clock_ms=NOON_MS)
    quota.ledger.arrives.set()
    assert await used(quota, account_id) == (3, 3, 100, 1)
    await quota.settle(account_id, running.request_id, charged=True, tokens=15)
    assert await used(quota, account_id) == (3, 3, 95, 0)


async def test_looking_at_a_cold_account_sums_it_too(
    new_quota: NewQuota, account_id: uuid.UUID
) -> None:
    ledger = SlowLedger(summed(3, 100))
    ledger.arrives.set()
    quota = new_quota(ledger, clock_ms=NOON_MS)
    assert await used(quota, account_id) == (3, 3, 100, 0)
    assert await used(quota, account_id) == (3, 3, 100, 0)
    assert ledger.times_asked == 1


async def test_several_that_sum_a_cold_account_at_once_seed_it_once(
    new_quota: NewQuota, account_id: uuid.UUID
) -> None:
    ledgers = [SlowLedger(summed(3, 100)) for _ in range(3)]
    quotas = [new_quota(ledger, clock_ms=NOON_MS) for ledger in ledgers]
    asking = [
        asyncio.create_task(quota.reserve(a_request(account_id, FREE))) for quota in quotas[:2]
    ]
    await asyncio.gather(*(ledger.asked.wait() for ledger in ledgers[:2]))
    for ledger in ledgers[:2]:
        ledger.arrives.set()
    await asyncio.gather(*asking)
    assert await used(quotas[2], account_id) == (5, 5, 140, 2)
    assert ledgers[2].times_asked == 0


async def test_a_sum_that_arrives_late_does_not_undo_what_was_booked_meanwhile(
    new_quota: NewQuota, account_id: uuid.UUID
) -> None:
    late, early = SlowLedger(summed(3, 100)), SlowLedger(summed(3, 100))
    asking = asyncio.create_task(
        new_quota(late, clock_ms=NOON_MS).reserve(a_request(account_id, FREE))
    )
    await late.asked.wait()
    early.arrives.set()
    quota = new_quota(early, clock_ms=NOON_MS)
    await quota.reserve(a_request(account_id, FREE))
    late.arrives.set()
    await asking
    assert await used(quota, account_id) == (5, 5, 140, 2)


async def test_without_its_ledger_a_cold_account_is_not_admitted(
    new_quota: NewQuota, account_id: uuid.UUID
) -> None:
    class Away(NothingSpent):
        async def sum_account(self, account_id: uuid.UUID, at_ms: int) -> LedgerSum:
            raise PostgresUnavailable

    quota = new_quota(Away())
    with pytest.raises(PostgresUnavailable):
        await quota.reserve(a_request(account_id))
    assert await quota.held() == []


# A store that forgets while requests run --------------------------------------------------------


async def test_what_ends_while_an_account_is_cold_is_counted_as_it_ended(
    new_quota: NewQuota, flush: "redis.Redis", account_id: uuid.UUID
) -> None:
    """The sum was taken when it ran, and is seeded after it ended."""
    charged, refunded, running = (a_request(account_id) for _ in range(3))
    ledger = SlowLedger(summed(5, 160, charged, refunded, running))
    quota = new_quota(ledger, clock_ms=NOON_MS)
    asking = asyncio.create_task(used(quota, account_id))
    await ledger.asked.wait()
    assert await quota.settle(account_id, charged.request_id, charged=True, tokens=15) is None
    assert await quota.settle(account_id, refunded.request_id, charged=False, tokens=0) is None
    ledger.arrives.set()
    assert await asking == (4, 4, 160 - 20 + 15 - 20, 1)
    # Told once more, after a lost answer: it is known already.
    await quota.settle(account_id, charged.request_id, charged=True, tokens=15)
    assert await used(quota, account_id) == (4, 4, 135, 1)


async def test_what_ended_before_the_sum_was_taken_is_not_counted_twice(
    new_quota: NewQuota, account_id: uuid.UUID
) -> None:
    quota = new_quota(SlowLedger(summed(5, 100)), clock_ms=NOON_MS)
    quota.ledger.arrives.set()
    assert await quota.settle(account_id, uuid.uuid4(), charged=True, tokens=15) is None
    assert await used(quota, account_id) == (5, 5, 100, 0)


async def test_in_a_store_that_has_just_lost_its_memory_sums_wait_for_slow_commits(
    new_quota: NewQuota, flush: "redis.Redis", account_id: uuid.UUID
) -> None:
    ledger = SlowLedger(summed(3, 100))
    ledger.arrives.set()
    quota = new_quota(ledger, clock_ms=NOON_MS, commit_bound=60)
    asking = asyncio.create_task(used(quota, account_id))
    until_asked = asyncio.create_task(ledger.asked.wait())
    await asyncio.wait({until_asked}, timeout=0.1)
    assert not until_asked.done()
    asking.cancel()
    quota.clock_ms += 60_000
    assert await used(quota, account_id) == (3, 3, 100, 0)
    await until_asked


async def test_a_booking_whose_commit_was_slower_than_that_is_known_to_be_unsafe(
    new_quota: NewQuota, account_id: uuid.UUID
) -> None:
    booking = await new_quota().reserve(a_request(account_id))
    assert not booking.may_be_forgotten(60)
    assert booking.may_be_forgotten(0)


async def test_a_sum_from_before_the_store_was_emptied_once_more_is_not_seeded(
    new_quota: NewQuota, flush: "redis.Redis", account_id: uuid.UUID
) -> None:
    """Else a booking made and forgotten in between, and not committed yet, would be lost."""
    late, early = SlowLedger(summed(3, 100)), SlowLedger(summed(3, 100))
    early.arrives.set()
    one, other = new_quota(late, clock_ms=NOON_MS), new_quota(early, clock_ms=NOON_MS)
    asking = asyncio.create_task(used(one, account_id))
    await late.asked.wait()
    await other.reserve(a_request(account_id, FREE))
    flush.flushall()
    one.clock_ms = other.clock_ms = NOON_MS + 1
    late.held = summed(4, 120)  # it is committed by now
    await other.peek(uuid.UUID(int=account_id.int ^ 1), FREE)  # another account starts an epoch
    late.arrives.set()
    assert await asking == (4, 4, 120, 0)
    assert late.times_asked == 2


@pytest.mark.parametrize("every", [7, 40])
async def test_emptying_the_store_in_the_middle_of_a_load_changes_no_decision(
    new_quota: NewQuota,
    ledger: LedgerWriter,
    sums: LedgerSums,
    flush: "redis.Redis",
    account_id: uuid.UUID,
    within_the_hour: None,
    every: int,
) -> None:
    quotas = [new_quota(sums, commit_bound=0.05) for _ in range(2)]
    outcomes = {"answered": 0, "failed": 0}
    begun = running = most = 0

    async def ask(quota: Quota) -> str:
        nonlocal begun, running, most
        number = begun = begun + 1
        if number % every == 0:
            flush.flushall()
        request = a_request(account_id, FREE)
        try:
            booking = await quota.reserve(request)
            intent = an_intent(
                id=request.request_id,
                account_id=account_id,
                admitted_at=booking.usage.counters.at,
            )
            await ledger.open(intent)
            if booking.may_be_forgotten(quota.commit_bound):
                await quota.reserve(request)
        except QuotaRefused as refusal:
            await settle_as_failed(quota, request)
            return refusal.limit.name
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.002)
        running -= 1
        outcome = "failed" if number % 3 == 0 else "answered"
        ending = failed(intent.id) if outcome == "failed" else settled(intent.id)
        ended = await ledger.end(ending, patience=PATIENCE)
        await quota.settle(account_id, intent.id, charged=ended.charged, tokens=ended.tokens)
        outcomes[outcome] += 1
        return outcome

    async def settle_as_failed(quota: Quota, request: QuotaRequest) -> None:
        ledger.owe(failed(request.request_id))
        await quota.settle(account_id, request.request_id, charged=False, tokens=0)

    outcome_of_round: set[str] = set()
    while outcome_of_round != {"requests_per_hour"}:
        outcome_of_round = set(await asyncio.gather(*(ask(quotas[n % 2]) for n in range(12))))
    assert outcomes["answered"] == 10
    assert most <= 2
    assert await used(quotas[0], account_id) == (10, 10, 120, 0)
    flush.flushall()
    assert await used(quotas[0], account_id) == (10, 10, 120, 0)
