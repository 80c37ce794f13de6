"""Web processes die by kill -9, and clients repeat what broke: one charged answer for each key."""

import asyncio
import contextlib
from collections import Counter

import httpx
import pytest
import redis
import uvloop

from bench.ledger import Ledger
from bench.product import Product
from tests.faults.cases import Member
from tests.faults.conftest import Join
from tests.gateway_server import WEB_PROCESSES
from tests.upstream.double import UpstreamDouble
from tests.upstream.script import marker
from tests.waiting import until

KEYS = 150
ACCOUNTS = 12
AT_ONCE = 36
KILLS = 3
PATIENCE = 60.0


class Clients:
    """They send each request, with its key, until it is answered whole."""

    def __init__(self, product: Product, members: list[Member]) -> None:
        self._url = f"{product.base_url}/chat/completions"
        self._members = members
        self.answers: dict[int, str] = {}
        """The id of each key's answer."""
        self.sent = 0

    async def run(self) -> None:
        gate = asyncio.Semaphore(AT_ONCE)
        async with httpx.AsyncClient(timeout=30) as client, asyncio.timeout(PATIENCE):
            await asyncio.gather(*(self._until_answered(client, gate, n) for n in range(KEYS)))

    async def answered(self, count: int) -> None:
        async def enough() -> bool:
            return len(self.answers) >= count

        await until(enough, PATIENCE)

    async def ask(self, client: httpx.AsyncClient, number: int) -> httpx.Response:
        self.sent += 1
        script = marker(id=f"keyed-{number}", tokens=8, first=0.02, gap=0.01)
        body = {
            "model": "scalix-free",
            "stream": number % 2 == 1,
            "messages": [{"role": "user", "content": script}],
        }
        token = self._members[number % ACCOUNTS].token
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": f"key-{number}"}
        return await client.post(self._url, json=body, headers=headers)

    async def _until_answered(
        self, client: httpx.AsyncClient, gate: asyncio.Semaphore, number: int
    ) -> None:
        async with gate:
            while number not in self.answers:
                with contextlib.suppress(httpx.TransportError):
                    response = await self.ask(client, number)
                    assert response.status_code in (200, 409, 503), response.text
                    if response.is_success and is_whole(response):
                        self.answers[number] = id_of(response)
                        return
                await asyncio.sleep(0.2)


def is_whole(response: httpx.Response) -> bool:
    return "chat.completion.chunk" not in response.text or response.text.endswith("[DONE]\n\n")


def id_of(response: httpx.Response) -> str:
    original = response.headers.get("x-scalix-original-request-id")
    return str(original or response.headers["x-request-id"])


async def run_and_kill(product: Product, clients: Clients) -> None:
    """Each time another quarter is answered, one web process dies and the counters are emptied."""
    running = asyncio.create_task(clients.run())
    for number in range(1, KILLS + 1):
        await clients.answered(number * KEYS // (KILLS + 1))
        await asyncio.to_thread(
            product.wait_until, lambda: len(product.pids("web")) == WEB_PROCESSES, "all web run"
        )
        product.kill(product.pids("web")[number % WEB_PROCESSES])
        with redis.Redis.from_url(product.paths.valkey_url) as store:
            store.flushall()
    await running


async def ask_all_again(clients: Clients) -> dict[int, str]:
    async with httpx.AsyncClient(timeout=30) as client:
        responses = [await clients.ask(client, number) for number in range(KEYS)]
    assert {response.headers.get("idempotent-replayed") for response in responses} == {"true"}
    return {number: id_of(response) for number, response in enumerate(responses)}


def test_however_often_a_process_dies_each_key_is_charged_once(
    product: Product,
    double: UpstreamDouble,
    ledger: Ledger,
    join: Join,
    capsys: pytest.CaptureFixture[str],
) -> None:
    members = join("pro", ACCOUNTS)
    emails = [member.email for member in members]
    clients = Clients(product, members)

    uvloop.run(run_and_kill(product, clients))
    product.wait_until(lambda: ledger.all_ended(emails), "every row has ended")

    rows = ledger.rows(emails)
    charged = [row for row in rows if row.charged]
    assert len(charged) == KEYS, Counter(row.status for row in rows)
    assert {row.status for row in charged} == {"settled"}
    assert uvloop.run(ask_all_again(clients)) == clients.answers
    assert len(ledger.rows(emails)) == len(rows)
    with capsys.disabled():
        print(f" [{dict(Counter(row.status for row in rows))}, {clients.sent} sent]", end="")
