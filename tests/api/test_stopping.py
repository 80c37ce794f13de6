"""Starting and stopping: what runs is settled, what is cut says so, and nothing half-starts."""

import asyncio
import json
import random
from typing import Any

import httpx
import psycopg
import pytest
from pytest_django import Settings
from uvicorn.server import ServerState

from accounts.identifiers import encode
from billing.metering.quota import QuotaUnavailable
from gateway import runtime
from gateway.runtime import Gateway
from scalix.asgi import application
from tests.api.asking import (
    COMPLETIONS,
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


def cancel_requests(server_state: ServerState) -> None:
    """What uvicorn does to the requests that outlast its grace."""
    for task in server_state.tasks:
        task.cancel(msg="Task cancelled, timeout graceful shutdown exceeded")


async def test_stopping_waits_for_what_runs_and_settles_it(
    client: httpx.AsyncClient,
    bob: Person,
    gateway: Gateway,
    upstream: UpstreamDouble,
    ledger_rows: LedgerRows,
) -> None:
    bodies = [
        asking(script={"id": "unary", "hold": "gate"}),
        asking(script={"id": "stream", "hold": "gate"}, stream=True),
    ]
    requests = [client.post(COMPLETIONS, json=body, headers=bob.headers) for body in bodies]
    async with in_background(requests[0]) as unary, in_background(requests[1]) as stream:
        await arrival(upstream, "unary")
        await arrival(upstream, "stream")
        async with in_background(gateway.stop()) as stopping:
            upstream.release("gate")
            await stopping
        assert (await unary).status_code == 200
        assert events_of((await stream).text)[-1] == "[DONE]"

    assert [row["status"] for row in await ledger_rows()] == ["settled"] * 2


async def test_a_stream_that_a_stopping_server_cuts_ends_in_an_error_event_and_is_free(
    client: httpx.AsyncClient,
    bob: Person,
    gateway: Gateway,
    server_state: ServerState,
    upstream: UpstreamDouble,
    ledger_rows: LedgerRows,
) -> None:
    body = json.dumps(asking(script={"tokens": 9, "stall": 2}, stream=True)).encode()
    async with RawConnection(str(client.base_url)) as connection:
        await connection.post(COMPLETIONS, bob.headers, body)
        received = await connection.read_until(b" river")
        cancel_requests(server_state)
        received += await connection.read_until(b"0\r\n\r\n")
        await gateway.stop()

    lines = [line for line in received.decode().splitlines() if line.startswith("data: ")]
    *chunks, last = events_of("\n".join(lines))
    assert text_of(chunks) == " quick river"
    assert last["error"]["code"] == "server_stopping"
    [row] = await ledger_rows()
    assert last["error"]["metadata"]["request_id"] == encode("req", row["id"])
    assert (row["status"], row["charged"]) == ("failed", False)
    assert row["error_code"] == "server_stopping"
    upstream.wait_until(lambda double: double.open_calls() == 0)


async def test_an_answer_that_a_stopping_server_does_not_wait_for_is_to_be_asked_again(
    client: httpx.AsyncClient,
    bob: Person,
    gateway: Gateway,
    server_state: ServerState,
    upstream: UpstreamDouble,
    ledger_rows: LedgerRows,
    counters: CountersOf,
) -> None:
    body = asking(script={"id": "held", "hold": "gate"})
    async with in_background(client.post(COMPLETIONS, json=body, headers=bob.headers)) as answer:
        await arrival(upstream, "held")
        cancel_requests(server_state)
        response = await answer

    error = error_of(response)
    assert (response.status_code, error["code"]) == (503, "server_stopping")
    assert response.headers["retry-after"] == "1"
    await gateway.settlement.finish()
    [row] = await ledger_rows()
    assert (row["status"], row["charged"]) == ("failed", False)
    assert (await counters(bob)).hour_requests == 0


async def test_a_server_that_stops_at_any_moment_leaves_no_row_open(
    client: httpx.AsyncClient,
    alice: Person,
    gateway: Gateway,
    server_state: ServerState,
    ledger_rows: LedgerRows,
    counters: CountersOf,
) -> None:
    chance = random.Random(20)

    async def one(stream: bool) -> int:
        body = asking(script={"tokens": 5, "first": 0.004, "gap": 0.002}, stream=stream)
        response = await client.post(COMPLETIONS, json=body, headers=alice.headers)
        if stream and response.is_success:  # no SDK notices a stream that just ends
            last = events_of(response.text)[-1]
            assert last == "[DONE]" or last["error"]["code"] == "server_stopping"
        return response.status_code

    for _ in range(10):
        async with asyncio.TaskGroup() as group:
            requests = [group.create_task(one(bool(number % 2))) for number in range(16)]
            await asyncio.sleep(chance.uniform(0, 0.04))  # at any moment: no condition would be
            cancel_requests(server_state)
        assert {request.result() for request in requests} <= {200, 503}
    await gateway.settlement.finish()

    async def agree() -> bool:
        rows = await ledger_rows()
        charged = [row for row in rows if row["charged"]]
        tokens = sum(row["prompt_tokens"] + row["completion_tokens"] for row in charged)
        used = await counters(alice)
        return "reserved" not in {row["status"] for row in rows} and (
            (used.in_flight, used.hour_requests, used.day_tokens) == (0, len(charged), tokens)
        )

    await until(agree)


async def test_after_a_stop_nothing_of_the_gateway_is_left(
    gateway: Gateway,
) -> None:
    before = asyncio.all_tasks()
    await gateway.stop()

    left = {task.get_name() for task in before if not task.done()}
    assert left == {asyncio.current_task().get_name()}  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("store", "failure"), [("postgres", psycopg.OperationalError), ("valkey", QuotaUnavailable)]
)
async def test_a_gateway_that_cannot_start_says_why_and_leaves_nothing(
    client: httpx.AsyncClient, kill: Kill, store: str, failure: type[Exception]
) -> None:
    kill(store)
    running = asyncio.all_tasks()

    with pytest.raises(failure):
        async with runtime.running():
            pass

    assert {task for task in asyncio.all_tasks() if task not in running} == set()
    with pytest.raises(RuntimeError):
        runtime.current()


class Lifespan:
    """The server's side of ASGI's lifespan."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self._messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        scope = {"type": "lifespan", "asgi": {"version": "3.0"}}
        self.task = asyncio.ensure_future(application(scope, self._messages.get, self._send))

    async def _send(self, message: Any) -> None:
        self.sent.append(message)

    def say(self, kind: str) -> None:
        """The next message to the application."""
        self._messages.put_nowait({"type": kind})

    async def heard(self) -> bool:
        """Whether the application has answered everything."""
        return self._messages.empty() and bool(self.sent)


async def test_the_server_is_told_when_the_gateway_runs_and_when_it_has_stopped(
    upstream: UpstreamDouble,
    transactional_db: None,
    flush: Any,
) -> None:
    lifespan = Lifespan()
    lifespan.say("lifespan.startup")
    await until(lifespan.heard)
    assert lifespan.sent == [{"type": "lifespan.startup.complete"}]
    assert runtime.current().ledger.connected

    lifespan.say("lifespan.shutdown")
    await lifespan.task
    assert lifespan.sent[1:] == [{"type": "lifespan.shutdown.complete"}]
    with pytest.raises(RuntimeError):
        runtime.current()


async def test_a_start_without_a_store_fails_in_one_line(
    transactional_db: None, flush: Any, settings: Settings
) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:9/0"
    lifespan = Lifespan()
    lifespan.say("lifespan.startup")
    await lifespan.task

    [message] = lifespan.sent
    assert message["type"] == "lifespan.startup.failed"
    assert message["message"].startswith("QuotaUnavailable: ")
