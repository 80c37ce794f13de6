"""A row is put right by another row, with a reason; sums and counters follow."""

import datetime as dt
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
from asgiref.sync import async_to_sync
from django.db import connections

from accounts.identifiers import uuid7
from accounts.postgres import ReadPool
from billing.metering.corrections import (
    Delta,
    NotCorrected,
    correct,
    corrections_of,
    take_back,
)
from billing.metering.rollups import hour_of, roll_up
from billing.metering.standing import opened, usage_now
from billing.metering.sums import LedgerSums
from billing.models import LedgerEntry, UsageDay, UsageHour
from billing.plans import Limits
from tests.metering.rolling import assert_sums_are_those_of_the_rows
from tests.pages.spending import spend
from tests.servers import PrivateServers

NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)


@pytest.fixture
def entry(db: None, account_id: uuid.UUID) -> LedgerEntry:
    """A charged request of three days ago, rolled up."""
    [row] = spend(
        account_id, 1, at=NOW - 3 * DAY, cached_tokens=10, cost_micros=40, price_micros=90,
        session="abc", token_id=uuid7(),
    )  # fmt: skip
    roll_up()
    return row


def refused(entry: LedgerEntry, **values: Any) -> str:
    """Why it isn't taken back; nothing was written."""
    before = list(LedgerEntry.objects.order_by("pk").values())
    with pytest.raises(NotCorrected) as refusal:
        take_back(entry, **{"reason": "It was a fault of ours.", **values})
    assert list(LedgerEntry.objects.order_by("pk").values()) == before
    return str(refusal.value)


def test_a_request_that_is_taken_back_counts_as_none(entry: LedgerEntry) -> None:
    as_it_was = LedgerEntry.objects.filter(pk=entry.pk).values().get()
    back = take_back(entry, reason=" It was a fault of ours. ")
    assert (back.requests, back.prompt_tokens, back.completion_tokens) == (-1, -25, -75)
    assert (back.cached_tokens, back.price_micros, back.cost_micros) == (-10, -90, 0)
    assert (back.corrects, back.reason) == (entry.pk, "It was a fault of ours.")
    assert (back.admitted_at, back.token_id, back.session) == (
        entry.admitted_at,
        entry.token_id,
        "abc",
    )
    assert LedgerEntry.objects.filter(pk=entry.pk).values().get() == as_it_was
    assert corrections_of(entry) == [back]


def test_the_sums_have_it_at_once(entry: LedgerEntry) -> None:
    take_back(entry, reason="It was a fault of ours.")
    for row in (UsageHour.objects.get(), UsageDay.objects.get()):
        assert (row.requests, row.prompt_tokens, row.completion_tokens) == (0, 0, 0)
        assert (row.cached_tokens, row.price_micros, row.cost_micros) == (0, 0, 40)
    roll_up()
    assert_sums_are_those_of_the_rows()


def test_a_figure_may_be_put_right_alone_and_taken_back_later(entry: LedgerEntry) -> None:
    correct(entry, Delta(completion_tokens=-70, cost_micros=5), reason="Counted twice.")
    hour = UsageHour.objects.get(hour=hour_of(entry.admitted_at))
    assert (hour.requests, hour.completion_tokens, hour.cost_micros) == (1, 5, 45)
    assert take_back(entry, reason="And all of it.").completion_tokens == -5
    assert UsageHour.objects.get().completion_tokens == 0


def test_nothing_is_taken_back_twice(entry: LedgerEntry) -> None:
    take_back(entry, reason="Once.")
    assert refused(entry) == "It has been taken back before."


@pytest.mark.django_db(transaction=True)
def test_of_many_who_take_it_back_at_once_one_does(account_id: uuid.UUID) -> None:
    [entry] = spend(account_id, 1)
    at_once = threading.Barrier(4)

    def attempt(_: int) -> bool:
        try:
            at_once.wait()
            take_back(entry, reason="At once.")
        except NotCorrected:
            return False
        finally:
            connections.close_all()
        return True

    with ThreadPoolExecutor(4) as threads:
        assert sorted(threads.map(attempt, range(4))) == [False, False, False, True]
    assert [row.requests for row in corrections_of(entry)] == [-1]


@pytest.mark.parametrize(
    ("reason", "said"),
    [("", "needs a reason"), (" \n", "needs a reason"), ("x" * 301, "longer than 300")],
)
def test_a_correction_needs_a_reason(entry: LedgerEntry, reason: str, said: str) -> None:
    assert said in refused(entry, reason=reason)


def test_what_runs_or_was_free_or_is_a_correction_is_not_taken_back(
    db: None, account_id: uuid.UUID
) -> None:
    [running] = spend(account_id, 1, status="reserved", ended_at=None)
    [free] = spend(account_id, 1, status="failed", charged=False)
    [charged] = spend(account_id, 1)
    correction = correct(charged, Delta(prompt_tokens=-1), reason="One less.")
    assert refused(running) == "It has not ended yet."
    assert refused(free) == "It was not charged: there is nothing to take back."
    assert "a correction itself" in refused(correction)
    assert refused(LedgerEntry(pk=uuid7())) == "There is no such row."


@pytest.mark.parametrize(
    ("delta", "said"),
    [
        (Delta(), "change nothing"),
        (Delta(requests=1), "one request at most"),
        (Delta(requests=-2), "leave -1 requests"),
        (Delta(prompt_tokens=-26), "leave -1 prompt_tokens"),
    ],
)
def test_no_figure_goes_below_nothing(entry: LedgerEntry, delta: Delta, said: str) -> None:
    with pytest.raises(NotCorrected, match=said):
        correct(entry, delta, reason="Too much.")
    assert corrections_of(entry) == []


def test_what_a_failed_request_cost_us_may_be_put_right(db: None, account_id: uuid.UUID) -> None:
    [failed] = spend(account_id, 1, status="failed", charged=False)
    correct(failed, Delta(cost_micros=7), reason="The provider billed it.")
    hour = UsageHour.objects.get()
    assert (hour.requests, hour.free_requests, hour.cost_micros) == (0, 1, 7)


@pytest.mark.django_db(transaction=True)
def test_the_counters_are_summed_anew(
    account_id: uuid.UUID, flush: "redis.Redis", within_the_hour: None
) -> None:
    [entry] = spend(account_id, 1)
    before = usage_now(account_id).counters
    take_back(entry, reason="It was a fault of ours.")
    after = usage_now(account_id).counters
    assert (before.day_tokens, after.day_tokens) == (100, 0)

    @async_to_sync
    async def by_the_ledger() -> int:
        pool = ReadPool(size=1)
        try:
            return (await LedgerSums(pool).sum_account(account_id, after.at_ms)).day_requests
        finally:
            await pool.close()

    assert after.day_requests == by_the_ledger()


@pytest.mark.django_db(transaction=True)
def test_what_is_taken_back_no_longer_counts_at_its_address(
    account_id: uuid.UUID, flush: "redis.Redis", within_the_hour: None
) -> None:
    at_home = {"address": "192.0.2.1", "address_counted": True}
    [entry, _] = spend(account_id, 2, **at_home)

    @async_to_sync
    async def there() -> tuple[int, int]:
        async with opened() as stores:
            limits = Limits(
                "free", 10, 50, 10_000, 2, None, None, None, address_requests_per_hour=9
            )
            usage = await stores.quota.peek(account_id, limits, address="192.0.2.1")
            assert usage.address is not None
            at_ms = usage.counters.at_ms
            rows = await LedgerSums(stores.pool).list_address("192.0.2.1", at_ms)
            return usage.address.hour_requests, len(rows)

    assert there() == (2, 2)
    take_back(entry, reason="It was a fault of ours.")
    assert there() == (1, 1)


@pytest.mark.django_db(transaction=True)
def test_with_the_counters_away_it_is_written_all_the_same(
    account_id: uuid.UUID, servers: PrivateServers
) -> None:
    [entry] = spend(account_id, 1)
    servers.valkey.kill()
    try:
        take_back(entry, reason="It was a fault of ours.")
    finally:
        servers.valkey.start()
    assert len(corrections_of(entry)) == 1
