"""What dies half-way is put right: in the ledger first, and then in the counters."""

import asyncio
import datetime as dt
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from accounts.identifiers import uuid7
from accounts.postgres import ReadPool, connect
from billing.metering.ledger import LedgerWriter
from billing.metering.quota import Quota, QuotaRequest, QuotaUnavailable
from billing.metering.sums import LedgerSums
from billing.metering.sweeper import Sweeper, Swept
from tests.metering.conftest import (
    UNLIMITED,
    LedgerView,
    NewQuota,
    a_request,
    an_intent,
    failed,
    settled,
)
from tests.waiting import not_at_all

PATIENCE = 5.0
NOTHING = Swept(abandoned=0, settled=0)
Sleep = Callable[[float], Awaitable[object]]


class Process:
    """A gateway process: its row, and what it books and writes."""

    def __init__(self, reads: ReadPool, quota: Quota, ledger: LedgerWriter) -> None:
        self.id = quota._process_id
        self._reads = reads
        self._quota = quota
        self._ledger = ledger

    async def live(self, *, last_beat: str = "0 s", ended: bool = False) -> None:
        """Its row: when its heart beat last, how long ago, and whether it ended cleanly."""
        await self._reads.fetch(
            "INSERT INTO billing_gatewayprocess (id, host, pid, started_at, heartbeat_at, ended_at)"
            " VALUES (%(id)s, 'here', 1, now(), now() - %(ago)s::interval,"
            " CASE WHEN %(ended)s THEN now() END)"
            " ON CONFLICT (id) DO UPDATE SET heartbeat_at = excluded.heartbeat_at, ended_at = NULL",
            {"id": self.id, "ago": last_beat, "ended": ended},
        )

    async def book(self, account_id: uuid.UUID, **values: Any) -> QuotaRequest:
        """Books a request of 20 tokens; its row is not written."""
        request = a_request(account_id, UNLIMITED, **values)
        await self._quota.reserve(request)
        return request

    async def admit(self, account_id: uuid.UUID, **values: Any) -> uuid.UUID:
        """Books a request and writes its row."""
        request = await self.book(account_id)
        values = {"id": request.request_id, "account_id": account_id, **values}
        await self._ledger.open(an_intent(process_id=self.id, **values))
        return request.request_id

    async def end(self, request_id: uuid.UUID) -> None:
        """Ends the row; the counters don't hear of it."""
        await self._ledger.end(settled(request_id), patience=PATIENCE)


class Cast:
    """Processes, a sweeper, and what everybody sees of an account."""

    def __init__(self, reads: ReadPool, new_quota: NewQuota, ledger: LedgerWriter) -> None:
        self.reads = reads
        self.quota = new_quota(LedgerSums(reads))
        self._new_quota = new_quota
        self._ledger = ledger

    def process(self) -> Process:
        return Process(self.reads, self._new_quota(LedgerSums(self.reads)), self._ledger)

    def sweeper(self, quota: Quota | None = None, sleep: Sleep = not_at_all) -> Sweeper:
        return Sweeper(self.reads, quota or self.quota, sleep=sleep)

    async def used(self, account_id: uuid.UUID) -> tuple[int, int, int]:
        """Requests today, tokens today, requests running."""
        counters = (await self.quota.peek(account_id, UNLIMITED)).counters
        return counters.day_requests, counters.day_tokens, counters.in_flight

    async def marked_ended(self) -> int:
        """How many processes have an `ended_at`."""
        rows = await self.reads.fetch(
            "SELECT count(*) FROM billing_gatewayprocess WHERE ended_at IS NOT NULL"
        )
        return int(rows[0][0])


@pytest.fixture
async def cast(
    reads: ReadPool, new_quota: NewQuota, ledger: LedgerWriter, within_the_hour: None
) -> Cast:
    return Cast(reads, new_quota, ledger)


@pytest.fixture
async def dead(cast: Cast) -> Process:
    """A process that was killed; its heart beats until a test says otherwise."""
    process = cast.process()
    await process.live()
    return process


async def test_what_a_dead_process_was_running_is_abandoned_and_costs_nothing(
    cast: Cast, dead: Process, committed: LedgerView, account_id: uuid.UUID
) -> None:
    done = await dead.admit(account_id)
    await dead.end(done)
    await cast.quota.settle(account_id, done, charged=True, tokens=12)
    before = await cast.used(account_id)
    running = [await dead.admit(account_id) for _ in range(3)]
    await dead.live(last_beat="13 s")
    assert (await cast.sweeper().sweep()).abandoned == 3
    assert await committed.statuses() == {done: "settled"} | dict.fromkeys(running, "abandoned")
    assert await cast.used(account_id) == before == (1, 12, 0)


async def test_an_abandoned_row_says_when_and_why(
    cast: Cast, dead: Process, account_id: uuid.UUID
) -> None:
    await dead.admit(account_id)
    await dead.live(last_beat="13 s")
    await cast.sweeper().sweep()
    assert await cast.reads.fetch(
        "SELECT charged, error_code, ended_at > admitted_at, prompt_tokens, completion_tokens"
        " FROM billing_ledgerentry"
    ) == [(False, "process_died", True, 0, 0)]


async def test_what_a_living_process_runs_is_left_alone(
    cast: Cast, committed: LedgerView, account_id: uuid.UUID
) -> None:
    process = cast.process()
    await process.live(last_beat="9 s")
    running = await process.admit(account_id)
    booked = await process.book(account_id)
    assert await cast.sweeper().sweep(walk=True) == NOTHING
    assert await committed.statuses() == {running: "reserved"}
    assert await cast.used(account_id) == (2, 40, 2)
    await process.end(running)
    assert await cast.sweeper().sweep(walk=True) == NOTHING
    assert {one.request_id for one in await cast.quota.held()} == {running, booked.request_id}


async def test_a_process_that_beats_again_when_it_is_looked_at_again_is_not_dead(
    cast: Cast, dead: Process, committed: LedgerView, account_id: uuid.UUID
) -> None:
    """As all are, after a pause of Postgres: each was stale when it came back."""
    running = await dead.admit(account_id)
    await dead.live(last_beat="1 minute")
    assert (await cast.sweeper(sleep=lambda _: dead.live()).sweep()).abandoned == 0
    assert await committed.status(running) == "reserved"
    assert await cast.marked_ended() == 0
    assert await cast.used(account_id) == (1, 20, 1)


@pytest.mark.parametrize("known", [True, False], ids=["ended", "unknown"])
async def test_what_an_ended_or_an_unknown_process_left_reserved_is_abandoned(
    cast: Cast, committed: LedgerView, account_id: uuid.UUID, known: bool
) -> None:
    process = cast.process()
    running = await process.admit(account_id)
    if known:
        await process.live(ended=True)
    assert (await cast.sweeper().sweep()).abandoned == 1
    assert await committed.status(running) == "abandoned"
    assert await cast.used(account_id) == (0, 0, 0)


async def test_a_request_past_its_deadline_is_abandoned_whoever_runs_it(
    cast: Cast, committed: LedgerView, account_id: uuid.UUID
) -> None:
    process = cast.process()
    await process.live()
    now = dt.datetime.now(dt.UTC)
    late = await process.admit(account_id, deadline_at=now - dt.timedelta(seconds=31))
    in_time = await process.admit(account_id, deadline_at=now - dt.timedelta(seconds=15))
    assert (await cast.sweeper().sweep()).abandoned == 1
    assert await committed.statuses() == {late: "abandoned", in_time: "reserved"}
    assert await cast.used(account_id) == (1, 20, 1)
    assert await cast.reads.fetch(
        "SELECT error_code FROM billing_ledgerentry WHERE id = %s", (late,)
    ) == [("deadline_exceeded",)]


async def test_a_booking_whose_row_was_never_written_is_refunded(
    cast: Cast, dead: Process, account_id: uuid.UUID
) -> None:
    await dead.book(account_id)
    await dead.live(last_beat="13 s")
    assert await cast.sweeper().sweep() == Swept(abandoned=0, settled=1)
    assert await cast.used(account_id) == (0, 0, 0)


async def test_a_booking_whose_row_has_ended_is_settled_as_the_ledger_says(
    cast: Cast, dead: Process, account_id: uuid.UUID
) -> None:
    await dead.end(await dead.admit(account_id))
    await dead.live(last_beat="13 s")
    assert await cast.sweeper().sweep() == Swept(abandoned=0, settled=1)
    assert await cast.used(account_id) == (1, 12, 0)


async def test_a_booking_whose_row_was_taken_back_is_refunded(
    cast: Cast, ledger: LedgerWriter, dead: Process, account_id: uuid.UUID
) -> None:
    request_id = await dead.admit(account_id)
    await dead.end(request_id)
    ledger.owe(failed(request_id))
    await ledger.stop()
    await dead.live(last_beat="13 s")
    assert await cast.sweeper().sweep() == Swept(abandoned=0, settled=1)
    assert await cast.used(account_id) == (0, 0, 0)


async def test_a_booking_past_its_deadline_is_settled_even_of_a_living_process(
    cast: Cast, account_id: uuid.UUID
) -> None:
    process = cast.process()
    await process.live()
    await process.book(account_id, deadline_ms=1_000)
    assert await cast.sweeper().sweep(walk=True) == Swept(abandoned=0, settled=1)
    assert await cast.used(account_id) == (0, 0, 0)


async def test_sweeping_again_changes_nothing(
    cast: Cast, dead: Process, committed: LedgerView, account_id: uuid.UUID
) -> None:
    running = await dead.admit(account_id)
    await dead.live(last_beat="13 s")
    await cast.sweeper().sweep()
    assert await cast.marked_ended() == 1
    assert await cast.sweeper().sweep(walk=True) == NOTHING
    assert await committed.status(running) == "abandoned"
    assert await cast.used(account_id) == (0, 0, 0)


async def test_sweepers_at_once_share_the_work(
    cast: Cast, dead: Process, committed: LedgerView, new_quota: NewQuota
) -> None:
    accounts = [uuid7() for _ in range(40)]
    running = [await dead.admit(account_id) for account_id in accounts]
    await dead.live(last_beat="13 s")
    sweepers = [cast.sweeper(new_quota(LedgerSums(cast.reads))) for _ in range(4)]
    swept = await asyncio.gather(*(sweeper.sweep() for sweeper in sweepers))
    assert sum(one.abandoned for one in swept) == 40
    assert await committed.statuses() == dict.fromkeys(running, "abandoned")
    for account_id in accounts:
        assert await cast.used(account_id) == (0, 0, 0)


async def test_more_than_one_statement_takes_are_all_abandoned(
    cast: Cast, dead: Process, committed: LedgerView, ledger: LedgerWriter
) -> None:
    intents = [an_intent(process_id=dead.id) for _ in range(1_100)]
    await asyncio.gather(*map(ledger.open, intents))
    await dead.live(last_beat="13 s")
    assert (await cast.sweeper().sweep()).abandoned == 1_100
    assert set((await committed.statuses()).values()) == {"abandoned"}


class Dying:
    """A Quota that is away from its so-manieth settlement on."""

    def __init__(self, quota: Quota, after: int) -> None:
        self._quota = quota
        self._left = after

    async def settle(self, *arguments: Any, **values: Any) -> None:
        if self._left == 0:
            raise QuotaUnavailable
        self._left -= 1
        await self._quota.settle(*arguments, **values)

    async def held(self) -> Any:
        return await self._quota.held()


@pytest.mark.parametrize("after", [0, 1, 2])
async def test_a_sweeper_that_dies_half_way_loses_nothing(
    cast: Cast, dead: Process, committed: LedgerView, account_id: uuid.UUID, after: int
) -> None:
    running = [await dead.admit(account_id) for _ in range(2)]
    await dead.end(await dead.admit(account_id))
    await dead.live(last_beat="13 s")
    with pytest.raises(QuotaUnavailable):
        await cast.sweeper(Dying(cast.quota, after)).sweep()  # type: ignore[arg-type]
    assert await cast.marked_ended() == 0
    await cast.sweeper().sweep()
    assert [await committed.status(one) for one in running] == ["abandoned"] * 2
    assert await cast.used(account_id) == (1, 12, 0)
    assert await cast.marked_ended() == 1


async def test_a_row_that_its_own_process_is_just_ending_is_left_to_it(
    cast: Cast, dead: Process, committed: LedgerView, account_id: uuid.UUID
) -> None:
    running = await dead.admit(account_id)
    await dead.live(last_beat="13 s")
    connection = await connect(5)
    async with connection, connection.transaction():
        await connection.execute(
            "UPDATE billing_ledgerentry SET status = 'settled' WHERE id = %s", (running,)
        )
        assert (await cast.sweeper().sweep()).abandoned == 0
    assert await committed.status(running) == "settled"


async def test_a_frozen_process_that_comes_back_learns_that_its_requests_were_abandoned(
    cast: Cast, dead: Process, ledger: LedgerWriter, account_id: uuid.UUID
) -> None:
    running = await dead.admit(account_id)
    await dead.live(last_beat="13 s")
    await cast.sweeper().sweep()
    await dead.live()
    ended = await ledger.end(settled(running), patience=PATIENCE)
    await cast.quota.settle(account_id, running, charged=ended.charged, tokens=ended.tokens)
    assert (ended.status, ended.charged) == ("abandoned", False)
    assert await cast.used(account_id) == (0, 0, 0)
    await dead.admit(account_id)
    assert await cast.sweeper().sweep(walk=True) == NOTHING
    assert await cast.used(account_id) == (1, 20, 1)


async def test_rows_of_processes_are_kept_for_a_day(cast: Cast) -> None:
    for last_beat in ("1 minute", "23 hours", "25 hours"):
        await cast.process().live(last_beat=last_beat, ended=True)
    await cast.sweeper().sweep()
    assert await cast.reads.fetch("SELECT count(*) FROM billing_gatewayprocess") == [(2,)]
