"""Postgres or Valkey away: a 503 at once, nothing served unmetered, and back by itself."""

import json

import httpx
import pytest
import redis

from tests.api.asking import (
    COMPLETIONS,
    FREE_COMPLETION,
    arrival,
    asking,
    error_of,
    events_of,
    in_background,
    text_of,
)
from tests.api.conftest import CountersOf, Kill, LedgerRows
from tests.api.raw_http import RawConnection
from tests.conftest import Person
from tests.upstream.double import UpstreamDouble
from tests.waiting import until

STORES = ["postgres", "valkey"]


@pytest.mark.parametrize("store", STORES)
async def test_without_a_store_nothing_is_served_and_with_it_everything_again(
    client: httpx.AsyncClient,
    alice: Person,
    upstream: UpstreamDouble,
    ledger_rows: LedgerRows,
    counters: CountersOf,
    kill: Kill,
    store: str,
) -> None:
    assert (await client.post(COMPLETIONS, json=asking(), headers=alice.headers)).is_success
    start_again = kill(store)

    for stream in (False, True, False):
        body = asking(stream=stream)
        response = await client.post(COMPLETIONS, json=body, headers=alice.headers)
        error = error_of(response)
        assert (response.status_code, error["code"]) == (503, "server_is_overloaded")
        assert (error["type"], response.headers["retry-after"]) == ("server_error", "1")
        assert "x-should-retry" not in response.headers
    assert upstream.received() == 1

    start_again()

    async def served() -> bool:
        response = await client.post(COMPLETIONS, json=asking(), headers=alice.headers)
        return response.status_code == 200

    await until(served)
    rows = await ledger_rows()
    answered = [row for row in rows if row["status"] == "settled"]
    assert len(answered) == upstream.received()
    assert {row["charged"] for row in rows if row not in answered} <= {False}

    async def agree() -> bool:
        used = await counters(alice)
        return (used.hour_requests, used.in_flight) == (len(answered), 0)

    await until(agree)


@pytest.mark.parametrize("store", STORES)
async def test_without_a_store_nobody_is_taken_for_somebody_else(
    client: httpx.AsyncClient, bob: Person, upstream: UpstreamDouble, kill: Kill, store: str
) -> None:
    """Neither a token that has not been looked up yet nor a visitor gets past it."""
    kill(store)

    known = await client.post(COMPLETIONS, json=asking(), headers=bob.headers)
    visitor = await client.post(FREE_COMPLETION, json=asking())
    looked_up = await client.get("/v1/key", headers=bob.headers)

    assert {one.status_code for one in (known, visitor, looked_up)} == {503}
    for one in (known, visitor, looked_up):
        error_of(one)
    assert upstream.received() == 0


async def test_an_answer_that_the_ledger_cannot_note_is_not_given_and_not_charged(
    client: httpx.AsyncClient,
    bob: Person,
    upstream: UpstreamDouble,
    ledger_rows: LedgerRows,
    counters: CountersOf,
    kill: Kill,
) -> None:
    body = asking(script={"id": "held", "hold": "gate"})
    async with in_background(client.post(COMPLETIONS, json=body, headers=bob.headers)) as answer:
        await arrival(upstream, "held")
        start_again = kill("postgres")
        upstream.release("gate")
        response = await answer

    error = error_of(response)
    assert (response.status_code, error["code"]) == (503, "server_is_overloaded")
    assert "quick river" not in response.text
    assert error["metadata"]["refunded"] is True
    start_again()

    async def ended() -> bool:
        [row] = await ledger_rows()
        return bool(row["status"] != "reserved")

    await until(ended)
    [row] = await ledger_rows()
    assert (row["status"], row["charged"], row["price_micros"]) == ("failed", False, 0)
    assert row["error_code"] == "ledger_unavailable"

    async def free() -> bool:
        used = await counters(bob)
        return (used.hour_requests, used.day_tokens, used.in_flight) == (0, 0, 0)

    await until(free)


async def test_a_stream_that_the_ledger_cannot_note_says_so_and_is_charged_later(
    client: httpx.AsyncClient,
    bob: Person,
    upstream: UpstreamDouble,
    ledger_rows: LedgerRows,
    counters: CountersOf,
    kill: Kill,
) -> None:
    body = json.dumps(asking(script={"tokens": 4, "gap": 0.05}, stream=True)).encode()
    async with RawConnection(str(client.base_url)) as connection:
        await connection.post(COMPLETIONS, bob.headers, body)
        received = await connection.read_until(b" quick")
        start_again = kill("postgres")
        received += await connection.read_until(b"0\r\n\r\n")

    lines = [line for line in received.decode().splitlines() if line.startswith("data: ")]
    *chunks, last = events_of("\n".join(lines))
    assert text_of(chunks) == " quick river carries small"
    assert last["error"]["code"] == "server_is_overloaded"
    assert last["error"]["metadata"]["refunded"] is False
    start_again()

    async def charged() -> bool:
        [row] = await ledger_rows()
        used = await counters(bob)
        tokens = row["prompt_tokens"] + row["completion_tokens"]
        return row["status"] == "settled" and (used.in_flight, used.day_tokens) == (0, tokens)

    await until(charged)


async def test_a_hang_up_without_the_ledger_is_settled_when_it_is_back(
    client: httpx.AsyncClient,
    bob: Person,
    upstream: UpstreamDouble,
    ledger_rows: LedgerRows,
    counters: CountersOf,
    kill: Kill,
) -> None:
    async with RawConnection(str(client.base_url)) as connection:
        body = asking(script={"id": "held", "hold": "gate"})
        await connection.post(COMPLETIONS, bob.headers, json.dumps(body).encode())
        await arrival(upstream, "held")
        start_again = kill("postgres")
    start_again()

    async def settled() -> bool:
        [row] = await ledger_rows()
        used = await counters(bob)
        return row["status"] == "cancelled" and (used.hour_requests, used.in_flight) == (0, 0)

    await until(settled)


async def test_an_answer_that_only_the_counters_missed_is_given_and_counted_later(
    client: httpx.AsyncClient,
    bob: Person,
    upstream: UpstreamDouble,
    ledger_rows: LedgerRows,
    counters: CountersOf,
    kill: Kill,
) -> None:
    body = asking(script={"id": "held", "hold": "gate"})
    async with in_background(client.post(COMPLETIONS, json=body, headers=bob.headers)) as answer:
        await arrival(upstream, "held")
        start_again = kill("valkey")
        upstream.release("gate")
        response = await answer

    assert response.status_code == 200
    [row] = await ledger_rows()
    assert (row["status"], row["charged"]) == ("settled", True)
    start_again()

    async def counted() -> bool:
        used = await counters(bob)
        tokens = response.json()["usage"]["total_tokens"]
        return (used.hour_requests, used.day_tokens, used.in_flight) == (1, tokens, 0)

    await until(counted)


async def test_an_emptied_counter_store_changes_no_decision(
    client: httpx.AsyncClient, bob: Person, flush: "redis.Redis", upstream: UpstreamDouble
) -> None:
    statuses = []
    for number in range(12):
        if number in (4, 10):
            flush.flushall()
        response = await client.post(COMPLETIONS, json=asking(), headers=bob.headers)
        statuses.append(response.status_code)

    assert statuses == [200] * 10 + [429] * 2
    assert upstream.received() == 10
