"""One row a request: committed before the provider hears of it, ended once."""

import asyncio
import datetime as dt
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from django.db import connections

from accounts.postgres import ReadPool
from billing.metering.corrections import Delta, correct
from billing.metering.ledger import Ended, LedgerUnavailable, LedgerWriter
from billing.metering.sums import LedgerSums
from billing.models import LedgerEntry
from tests.metering.conftest import LedgerView, an_intent, failed, settled, writes_held_up
from tests.waiting import until

PATIENCE = 5.0


async def test_an_intent_is_committed_when_open_returns(
    ledger: LedgerWriter, committed: LedgerView
) -> None:
    intent = an_intent()
    await ledger.open(intent)
    assert await committed.status(intent.id) == "reserved"


async def test_a_row_keeps_every_value_it_was_given(ledger: LedgerWriter, reads: ReadPool) -> None:
    intent = an_intent(model="scalix-auto", streamed=True, reserved_tokens=777, tier="pro")
    first_token_at = dt.datetime(2026, 11, 22, 1, 2, 3, 456_000, dt.UTC)
    ending = settled(
        intent.id,
        deployment="gemini-flash",
        cached_tokens=3,
        estimated=True,
        cost_micros=12_345_678_901,
        price_micros=23,
        attempts=({"deployment": "a", "outcome": "provider_unavailable", "milliseconds": 12},),
        first_token_at=first_token_at,
    )
    await ledger.open(intent)
    await ledger.end(ending, patience=PATIENCE)
    ((*row,),) = await reads.fetch(
        "SELECT account_id, token_id, tier, model, streamed, reserved_tokens, admitted_at,"
        " deadline_at, process_id, status, charged, ended_at, deployment, prompt_tokens,"
        " completion_tokens, cached_tokens, estimated, cost_micros, price_micros, attempts,"
        " error_code, first_token_at FROM billing_ledgerentry WHERE id = %s",
        (intent.id,),
    )
    assert row == [
        intent.account_id,
        None,
        "pro",
        "scalix-auto",
        True,
        777,
        intent.admitted_at,
        intent.deadline_at,
        intent.process_id,
        "settled",
        True,
        ending.ended_at,
        "gemini-flash",
        7,
        5,
        3,
        True,
        12_345_678_901,
        23,
        list(ending.attempts),
        "",
        first_token_at,
    ]


async def test_whoever_waits_at_once_shares_a_commit(
    ledger: LedgerWriter, committed: LedgerView
) -> None:
    intents = [an_intent() for _ in range(200)]
    await asyncio.gather(*(ledger.open(intent) for intent in intents))
    assert ledger.commits == 1
    assert await committed.statuses() == {intent.id: "reserved" for intent in intents}


async def test_more_than_one_statement_takes_go_out_in_several(
    ledger: LedgerWriter, committed: LedgerView
) -> None:
    intents = [an_intent() for _ in range(1_200)]
    await asyncio.gather(*(ledger.open(intent) for intent in intents))
    assert ledger.commits == 3
    assert len(await committed.statuses()) == 1_200


async def test_intents_and_endings_share_a_commit_too(
    ledger: LedgerWriter, committed: LedgerView
) -> None:
    old, new = an_intent(), an_intent()
    await ledger.open(old)
    commits = ledger.commits
    await asyncio.gather(ledger.open(new), ledger.end(settled(old.id), patience=PATIENCE))
    assert ledger.commits == commits + 1
    assert await committed.statuses() == {old.id: "settled", new.id: "reserved"}


async def test_a_row_that_postgres_refuses_fails_itself_and_nobody_else(
    ledger: LedgerWriter, committed: LedgerView
) -> None:
    good = [an_intent() for _ in range(5)]
    bad = an_intent(model="nul \0 byte")
    last = an_intent()
    outcomes = await asyncio.gather(
        *(ledger.open(intent) for intent in (*good, bad, last)), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [type(None)] * 5 + [
        LedgerUnavailable,
        type(None),
    ]
    assert await committed.statuses() == {one.id: "reserved" for one in (*good, last)}


async def test_an_ending_that_postgres_refuses_fails_itself_and_nobody_else(
    ledger: LedgerWriter, committed: LedgerView
) -> None:
    one, other = an_intent(), an_intent()
    await asyncio.gather(ledger.open(one), ledger.open(other))
    impossible = settled(one.id, completion_tokens=2**40)
    outcomes = await asyncio.gather(
        ledger.end(impossible, patience=PATIENCE),
        ledger.end(settled(other.id), patience=PATIENCE),
        return_exceptions=True,
    )
    assert isinstance(outcomes[0], LedgerUnavailable)
    assert await committed.statuses() == {one.id: "reserved", other.id: "settled"}


async def test_a_row_that_cannot_even_be_encoded_fails_in_its_own_request(
    ledger: LedgerWriter, committed: LedgerView
) -> None:
    with pytest.raises(TypeError):
        await ledger.open(an_intent(model="half a pair: \ud800"))
    intent = an_intent()
    await ledger.open(intent)
    assert await committed.statuses() == {intent.id: "reserved"}


async def test_an_intent_written_twice_is_one_row(
    ledger: LedgerWriter, committed: LedgerView
) -> None:
    intent = an_intent()
    await ledger.open(intent)
    await ledger.end(settled(intent.id), patience=PATIENCE)
    await ledger.open(intent)
    assert await committed.statuses() == {intent.id: "settled"}


async def test_a_row_ends_once_and_the_second_end_hears_how_it_did(
    ledger: LedgerWriter, committed: LedgerView
) -> None:
    intent = an_intent()
    await ledger.open(intent)
    first = await ledger.end(settled(intent.id), patience=PATIENCE)
    second = await ledger.end(failed(intent.id), patience=PATIENCE)
    assert first == second == Ended("settled", charged=True, tokens=12)
    assert await committed.status(intent.id) == "settled"


async def test_an_end_after_the_sweepers_hears_that_nothing_is_charged(
    ledger: LedgerWriter, reads: ReadPool
) -> None:
    intent = an_intent()
    await ledger.open(intent)
    await reads.fetch("UPDATE billing_ledgerentry SET status = 'abandoned', charged = false")
    ended = await ledger.end(settled(intent.id), patience=PATIENCE)
    assert ended == Ended("abandoned", charged=False, tokens=0)


async def test_tokens_of_a_request_that_is_not_charged_do_not_count(ledger: LedgerWriter) -> None:
    intent = an_intent()
    await ledger.open(intent)
    ending = failed(intent.id, prompt_tokens=7, completion_tokens=2)
    assert await ledger.end(ending, patience=PATIENCE) == Ended("failed", charged=False, tokens=0)


async def test_a_request_that_is_cancelled_before_its_row_was_sent_leaves_none(
    ledger: LedgerWriter, committed: LedgerView, reads: ReadPool
) -> None:
    sent, waiting = an_intent(), an_intent()
    async with writes_held_up(reads) as somebody_waits:
        opening = [asyncio.create_task(ledger.open(sent))]
        await somebody_waits()
        opening.append(asyncio.create_task(ledger.open(waiting)))
        await asyncio.sleep(0)
        opening[1].cancel()
    await asyncio.gather(*opening, return_exceptions=True)
    await ledger.stop()
    assert await committed.statuses() == {sent.id: "reserved"}


async def test_a_request_that_is_cancelled_while_its_row_is_on_its_way_ends_failed(
    ledger: LedgerWriter, committed: LedgerView, reads: ReadPool
) -> None:
    intent = an_intent()
    async with writes_held_up(reads) as somebody_waits:
        opening = asyncio.create_task(ledger.open(intent))
        await somebody_waits()
        opening.cancel()
        await asyncio.gather(opening, return_exceptions=True)
    await ledger.stop()
    assert await committed.status(intent.id) == "failed"


async def test_stop_writes_everything_that_waits(
    ledger: LedgerWriter, committed: LedgerView
) -> None:
    old, new = an_intent(), an_intent()
    await ledger.open(old)
    opening = asyncio.create_task(ledger.open(new))
    ledger.owe(settled(old.id))
    await asyncio.sleep(0)
    await ledger.stop()
    await opening
    assert await committed.statuses() == {old.id: "settled", new.id: "reserved"}


async def test_a_stopped_writer_admits_nothing(ledger: LedgerWriter) -> None:
    await ledger.stop()
    with pytest.raises(LedgerUnavailable):
        await ledger.open(an_intent())


async def test_the_ending_that_was_owed_last_is_the_one_that_counts(
    ledger: LedgerWriter, committed: LedgerView
) -> None:
    intent = an_intent()
    await ledger.open(intent)
    heard: list[Ended] = []
    ledger.owe(settled(intent.id), heard.append)
    ledger.owe(failed(intent.id), heard.append)
    await ledger.stop()
    assert await committed.status(intent.id) == "failed"
    assert heard == [Ended("failed", charged=False, tokens=0)]


async def test_a_withheld_answer_that_was_charged_all_the_same_is_taken_back_once(
    ledger: LedgerWriter, reads: ReadPool
) -> None:
    intent = an_intent(address="192.0.2.1", address_counted=True, session="abc")
    await ledger.open(intent)
    await ledger.end(
        settled(intent.id, cached_tokens=3, cost_micros=40, price_micros=90), patience=PATIENCE
    )
    heard: list[Ended] = []
    for times in (1, 2):
        ledger.owe(failed(intent.id), heard.append)
        await until(is_heard(heard, times))
    # The second may be a first whose answer was lost: it hears the same.
    assert heard == [Ended("settled", charged=False, tokens=0, taken_back=True)] * 2

    row, correction = await rows_in_order(reads)
    assert (row["status"], row["charged"], row["requests"]) == ("settled", True, 1)
    assert (correction["status"], correction["requests"]) == ("correction", -1)
    assert correction["corrects"] == str(intent.id)
    assert (correction["prompt_tokens"], correction["completion_tokens"]) == (-7, -5)
    assert (correction["cached_tokens"], correction["price_micros"]) == (-3, -90)
    assert (row["cost_micros"], correction["cost_micros"]) == (40, 0)  # the provider took it
    assert "withheld" in correction["reason"]
    same = ("account_id", "tier", "model", "address", "address_counted", "session", "admitted_at")
    assert {name: correction[name] for name in same} == {name: row[name] for name in same}
    assert uuid.UUID(correction["id"]).int >> 80 == intent.id.int >> 80

    at_ms = int(intent.admitted_at.timestamp() * 1000)
    sums = LedgerSums(reads)
    account = await sums.sum_account(intent.account_id, at_ms)
    assert (account.day_requests, account.day_tokens, account.sessions) == (0, 0, (("abc", 0),))
    assert await sums.list_address("192.0.2.1", at_ms) == ()


async def test_what_staff_have_corrected_is_theirs_and_nobody_says_it_was_taken_back(
    ledger: LedgerWriter, reads: ReadPool, caplog: pytest.LogCaptureFixture
) -> None:
    intent = an_intent()
    await ledger.open(intent)
    await ledger.end(settled(intent.id), patience=PATIENCE)
    await asyncio.to_thread(correct_a_token_of, intent.id)
    heard: list[Ended] = []
    ledger.owe(failed(intent.id), heard.append)
    await until(is_heard(heard))
    assert heard == [Ended("settled", charged=True, tokens=11)]
    assert len(await rows_in_order(reads)) == 2
    assert "is charged, although its answer was withheld" in caplog.text


async def test_a_charge_that_is_owed_or_was_free_takes_nothing_back(
    ledger: LedgerWriter, committed: LedgerView
) -> None:
    charged, free = an_intent(), an_intent()
    await asyncio.gather(ledger.open(charged), ledger.open(free))
    await ledger.end(settled(charged.id), patience=PATIENCE)
    await ledger.end(failed(free.id), patience=PATIENCE)
    ledger.owe(settled(charged.id))
    ledger.owe(failed(free.id))
    await ledger.stop()
    assert await committed.statuses() == {charged.id: "settled", free.id: "failed"}


def is_heard(heard: list[Ended], times: int = 1) -> Callable[[], Awaitable[bool]]:
    """Whether whoever owed has been told, which is a moment after nothing is owed any more."""

    async def anything() -> bool:
        return len(heard) >= times

    return anything


def correct_a_token_of(request_id: uuid.UUID) -> None:
    entry = LedgerEntry.objects.get(pk=request_id)
    correct(entry, Delta(prompt_tokens=-1), reason="It was counted wrong.")
    connections.close_all()


async def rows_in_order(reads: ReadPool) -> list[dict[str, Any]]:
    """All of them, as they ended."""
    return [
        row[0]
        for row in await reads.fetch(
            "SELECT to_jsonb(entry) FROM billing_ledgerentry entry ORDER BY ended_at"
        )
    ]
