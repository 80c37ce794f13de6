"""A client that goes away, at any moment: settled once, and the provider's call is given up."""

import asyncio
import gc
import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from accounts.postgres import connect
from gateway import pipeline
from gateway.runtime import Gateway
from gateway.types import ChatRequest, Presented, StreamReply
from tests.api.asking import COMPLETIONS, Json, arrival, asking
from tests.api.conftest import PATIENCE, CountersOf, LedgerRows, Row
from tests.api.raw_http import RawConnection
from tests.conftest import Person
from tests.upstream.double import UpstreamDouble
from tests.upstream.script import marker
from tests.waiting import until


@asynccontextmanager
async def ledger_held_up() -> AsyncIterator[None]:
    """Commits to the ledger wait as long as this lasts."""
    connection = await connect(PATIENCE)
    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE billing_ledgerentry IN EXCLUSIVE MODE")
            yield
    finally:
        await connection.close()


def encoded(**fields: Any) -> bytes:
    return json.dumps(asking(**fields)).encode()


@pytest.fixture
def ended_row(ledger_rows: LedgerRows) -> Callable[[], Any]:
    """The only row, once it has ended."""

    async def read() -> Row:
        async def has_ended() -> bool:
            rows = await ledger_rows()
            return bool(rows) and all(row["status"] != "reserved" for row in rows)

        await until(has_ended)
        [row] = await ledger_rows()
        return row

    return read


async def assert_idle(upstream: UpstreamDouble) -> None:
    await asyncio.to_thread(upstream.wait_until, lambda double: double.open_calls() == 0)


async def assert_free(counters: CountersOf, person: Person) -> None:
    async def is_free() -> bool:
        used = await counters(person)
        return (used.hour_requests, used.day_tokens, used.in_flight) == (0, 0, 0)

    await until(is_free)


@pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])
async def test_whoever_leaves_before_the_first_word_pays_nothing(
    address: str,
    bob: Person,
    upstream: UpstreamDouble,
    ended_row: Callable[[], Any],
    counters: CountersOf,
    stream: bool,
) -> None:
    async with RawConnection(address) as connection:
        script = {"id": "held", "hold": "gate"}
        await connection.post(COMPLETIONS, bob.headers, encoded(script=script, stream=stream))
        await arrival(upstream, "held")
        connection.hang_up()

        row = await ended_row()

    assert (row["status"], row["charged"]) == ("cancelled", False)
    assert row["error_code"] == "client_disconnected"
    assert [attempt["outcome"] for attempt in row["attempts"]] == ["interrupted"]
    assert row["price_micros"] == 0
    await assert_idle(upstream)
    assert upstream.log()[0]["outcome"] == "disconnected"
    await assert_free(counters, bob)


async def test_whoever_leaves_within_a_stream_pays_for_what_was_said(
    address: str,
    bob: Person,
    upstream: UpstreamDouble,
    ended_row: Callable[[], Any],
    counters: CountersOf,
) -> None:
    async with RawConnection(address) as connection:
        body = encoded(script={"tokens": 50, "stall": 3}, stream=True)
        await connection.post(COMPLETIONS, bob.headers, body)
        await connection.read_until(b" carries")  # the third word
        connection.hang_up()

        row = await ended_row()

    assert (row["status"], row["charged"]) == ("cancelled", True)
    assert row["error_code"] == "client_disconnected"
    assert (row["completion_tokens"], row["estimated"]) == (3, True)
    assert row["prompt_tokens"] == upstream.log()[0]["prompt_tokens"]
    await assert_idle(upstream)
    used = await counters(bob)
    assert (used.hour_requests, used.in_flight) == (1, 0)
    assert used.day_tokens == row["prompt_tokens"] + 3


async def test_whoever_leaves_between_admission_and_its_commit_leaves_nothing(
    address: str,
    alice: Person,
    bob: Person,
    upstream: UpstreamDouble,
    ledger_rows: LedgerRows,
    counters: CountersOf,
) -> None:
    async def booked(requests: int) -> bool:
        return (await counters(bob)).in_flight == requests

    async with (
        RawConnection(address) as first,
        RawConnection(address) as second,
        ledger_held_up(),
    ):
        # The first one's row is on its way to the ledger, the second one's waits behind it.
        await first.post(COMPLETIONS, bob.headers, encoded())
        await until(lambda: booked(1))
        await second.post(COMPLETIONS, bob.headers, encoded())
        await until(lambda: booked(2))
        first.hang_up()
        second.hang_up()
        await assert_free(counters, bob)

    async def none_open() -> bool:
        return all(row["status"] != "reserved" for row in await ledger_rows())

    async with RawConnection(address) as later:  # rows are written in order: theirs before hers
        await later.post(COMPLETIONS, alice.headers, encoded())
        assert (await later.response())[0] == 200
    await until(none_open)

    ended = [(row["status"], row["charged"]) for row in await ledger_rows()]
    assert ended.count(("settled", True)) == upstream.received() == 1
    assert {*ended} <= {("settled", True), ("failed", False)}
    await assert_free(counters, bob)


async def test_whoever_leaves_while_their_answer_is_settled_has_had_it(
    address: str,
    bob: Person,
    upstream: UpstreamDouble,
    ended_row: Callable[[], Any],
    counters: CountersOf,
) -> None:
    async with RawConnection(address) as connection:
        script = {"id": "held", "hold": "gate", "tokens": 4}
        await connection.post(COMPLETIONS, bob.headers, encoded(script=script))
        await arrival(upstream, "held")
        async with ledger_held_up():
            upstream.release("gate")
            await assert_idle(upstream)
            connection.hang_up()
        row = await ended_row()

    if row["status"] == "settled":  # else the hang-up was quicker than the answer's last byte
        assert (row["charged"], row["completion_tokens"]) == (True, 4)
    else:
        assert (row["status"], row["charged"]) == ("cancelled", False)

    async def as_the_ledger_says() -> bool:
        used = await counters(bob)
        tokens = row["prompt_tokens"] + row["completion_tokens"] if row["charged"] else 0
        return (used.in_flight, used.day_tokens) == (0, tokens)

    await until(as_the_ledger_says)


@pytest.fixture
def streamed(gateway: Gateway, bob: Person, old_store: None) -> Callable[..., Any]:
    """Asks the pipeline itself for a stream."""

    async def ask(**script: Any) -> StreamReply:
        message = {"role": "user", "content": f"Say something {marker(**script)}"}
        request = ChatRequest("scalix-free", (message,), stream=True)
        reply = await pipeline.run(gateway, Presented(bearer=bob.secret), request)
        assert isinstance(reply, StreamReply)
        return reply

    return ask


@pytest.mark.parametrize("how", ["forgotten", "closed"])
async def test_a_stream_that_nobody_reads_is_settled_as_free(
    streamed: Callable[..., Any],
    upstream: UpstreamDouble,
    ended_row: Callable[[], Any],
    counters: CountersOf,
    bob: Person,
    how: str,
) -> None:
    reply = await streamed(tokens=3, stall=2)
    if how == "closed":
        await reply.chunks.aclose()
    del reply
    gc.collect()

    row = await ended_row()

    assert (row["status"], row["charged"]) == ("cancelled", False)
    await assert_idle(upstream)
    await assert_free(counters, bob)


async def test_a_stream_that_is_forgotten_half_way_is_settled_as_left(
    streamed: Callable[..., Any], upstream: UpstreamDouble, ended_row: Callable[[], Any]
) -> None:
    reply = await streamed(tokens=5, stall=2)
    heard = [await anext(reply.chunks) for _ in range(3)]  # the role, and two words
    del reply
    gc.collect()

    row = await ended_row()

    assert len(heard) == 3
    assert (row["status"], row["charged"], row["completion_tokens"]) == ("cancelled", True, 2)
    await assert_idle(upstream)


async def test_after_any_number_of_hang_ups_at_any_moment_ledger_and_counters_agree(
    client: httpx.AsyncClient,
    address: str,
    alice: Person,
    upstream: UpstreamDouble,
    ledger_rows: LedgerRows,
    counters: CountersOf,
) -> None:
    chance = random.Random(20)

    async def one(body: Json, seconds: float) -> None:
        async with RawConnection(address) as connection:
            await connection.post(COMPLETIONS, alice.headers, json.dumps(body).encode())
            await asyncio.sleep(seconds)  # at any moment: no condition would be that

    for _ in range(12):
        bodies = [
            asking(script={"tokens": 5, "first": 0.004, "gap": 0.002}, stream=bool(number % 2))
            for number in range(16)
        ]
        await asyncio.gather(*(one(body, chance.uniform(0, 0.05)) for body in bodies))

    async def all_ended() -> bool:
        return all(row["status"] != "reserved" for row in await ledger_rows())

    await until(all_ended)
    await assert_idle(upstream)
    charged = [row for row in await ledger_rows() if row["charged"]]
    tokens = sum(row["prompt_tokens"] + row["completion_tokens"] for row in charged)

    async def agree() -> bool:
        used = await counters(alice)
        return (used.in_flight, used.hour_requests, used.day_tokens) == (0, len(charged), tokens)

    await until(agree)
    # And whoever comes next on these connections gets their own answer.
    response = await client.post(COMPLETIONS, json=asking(), headers=alice.headers)
    assert response.status_code == 200
    assert (await counters(alice)).hour_requests == len(charged) + 1
