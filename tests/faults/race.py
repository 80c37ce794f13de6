"""Five hundred requests at once on one limit: exactly as many get in as it says.

`python -m tests.faults.race` does so many times for each limit, with Redis and with the ledger, and
prints a table.
"""

import argparse
import asyncio
import itertools
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg
import uvloop

from bench.connection import LoadConnection, Reply
from tests.faults.crowd import Account, Wanted, make_accounts
from tests.faults.pressure import MOST_TOKENS, Ask
from tests.faults.sites import site
from tests.gateway_server import GatewayServer

REQUESTS: Final = 500
WEB_PROCESSES: Final = 4
SETTINGS: Final = {"REDIS_AWAY": "ledger"}
_CONNECT_AT_ONCE: Final = 100

_HELD: Final = """
SELECT count(*), coalesce(sum(reserved_tokens), 0), coalesce(max(reserved_tokens), 0),
       count(DISTINCT account_id), count(*) FILTER (WHERE status = 'reserved')
  FROM billing_ledgerentry entry JOIN accounts_user ON accounts_user.id = account_id
 WHERE email = ANY(%s) AND charged
"""


@dataclass(frozen=True, slots=True)
class Limit:
    """One turn of the race: `accounts` send the requests between them, `most` is the limit.

    `turns` is when its window turns, in seconds: a race that a turn falls into is no race.
    """

    name: str
    most: int
    accounts: int = 1
    shares_address: bool = False
    turns: int = 0


LIMITS: Final = (
    Limit("requests_per_hour", 40, turns=3_600),
    Limit("requests_per_day", 40, turns=86_400),
    Limit("tokens_per_day", 5_000, turns=86_400),
    Limit("concurrent_requests", 20),
    Limit("requests_per_session", 40, turns=86_400),
    Limit("address_requests_per_minute", 40, accounts=50, shares_address=True, turns=60),
    Limit("address_accounts_per_hour", 20, accounts=100, shares_address=True, turns=3_600),
)


@dataclass(frozen=True, slots=True)
class Held:
    """What the ledger has of a race while all that got in is still held at the upstream."""

    rows: int
    reserved_tokens: int
    most_tokens: int
    """Of one row."""
    accounts: int
    running: int


@dataclass(slots=True)
class Race:
    """What came of one race; `wrong` is empty if exactly the limit got in."""

    admitted: int
    refused: int
    wrong: list[str] = field(default_factory=list)


_numbers = itertools.count()


def run_race(server: GatewayServer, limit: Limit, requests: int = REQUESTS) -> Race:
    """So many at once on fresh accounts; those that get in are held until all are decided.

    Each account makes as many of them as any other: else nobody knows how many are to get in.
    """
    assert requests % limit.accounts == 0
    _wait_for_room(limit)
    name = f"race-{next(_numbers)}"
    number = next(_numbers)
    address = f"10.{200 + number // 65536}.{number // 256 % 256}.{number % 256}"
    wanted = Wanted(limit.accounts, limit.name, limit.most, address if limit.shares_address else "")
    accounts = make_accounts(server.product.dsn, name, [wanted])
    server.upstream.reset()
    replies, held = uvloop.run(_all_at_once(server, accounts, name, requests))
    calls = server.upstream.log(id_prefix=f"{name}-")
    race = Race(
        admitted=sum(reply.status == 200 for reply in replies),
        refused=sum(reply.status == 429 for reply in replies),
    )
    _check(race, limit, held, calls, replies)
    return race


def _wait_for_room(limit: Limit) -> None:
    """Returns when the window has long enough to go."""
    room = min(20, limit.turns // 5)
    while limit.turns and limit.turns - time.time() % limit.turns < room:
        time.sleep(0.1)


async def _all_at_once(
    server: GatewayServer, accounts: list[Account], name: str, requests: int
) -> tuple[list[Reply], Held]:
    asks = [
        Ask(f"{name}-{number:03}", accounts[number % len(accounts)], script={"hold": name})
        for number in range(requests)
    ]
    connections: list[LoadConnection] = []
    while len(connections) < requests:
        some = range(min(_CONNECT_AT_ONCE, requests - len(connections)))
        opening = (LoadConnection.to(server.base_url) for _ in some)
        connections += await asyncio.gather(*opening)
    exchanges = [
        asyncio.create_task(connection.exchange(ask.request(server.base_url)))
        for connection, ask in zip(connections, asks, strict=True)
    ]

    def all_are_decided(_: Any) -> bool:
        decided = sum(one.done() for one in exchanges)
        return decided + server.upstream.open_calls() == requests

    await asyncio.to_thread(server.upstream.wait_until, all_are_decided, 60.0)
    held = await asyncio.to_thread(_held, server, accounts)
    await asyncio.to_thread(server.upstream.release, name)
    replies = await asyncio.gather(*exchanges)
    for connection in connections:
        if connection.open:
            connection.close()
    return list(replies), held


def _held(server: GatewayServer, accounts: list[Account]) -> Held:
    with psycopg.connect(server.product.dsn) as connection:
        row = connection.execute(_HELD, [[one.email for one in accounts]]).fetchone()
    assert row is not None
    return Held(*map(int, row))


def _check(
    race: Race, limit: Limit, held: Held, calls: list[dict[str, Any]], replies: list[Reply]
) -> None:
    if race.admitted + race.refused != len(replies):
        others = [reply for reply in replies if reply.status not in (200, 429)]
        race.wrong.append(f"{len(others)} neither admitted nor refused: {others[0].body!r}")
    if not race.admitted == held.rows == held.running == len(calls):
        race.wrong.append(f"{race.admitted} answers, {len(calls)} calls, {held}")
    named = {reply.json()["error"]["metadata"]["limit"] for reply in replies if reply.status == 429}
    if named != {limit.name}:
        race.wrong.append(f"refused by {named}")
    if limit.name == "tokens_per_day":
        # Nothing beyond the limit, and what is left is too little for a prompt, which all have of
        # one length, and one token of an answer.
        left, prompt = limit.most - held.reserved_tokens, held.most_tokens - MOST_TOKENS
        if not 0 <= left <= prompt:
            race.wrong.append(f"{held} of {limit.most} tokens")
    elif limit.name == "address_accounts_per_hour":
        of_each = len(replies) // limit.accounts
        if held.accounts != limit.most or race.admitted != limit.most * of_each:
            race.wrong.append(f"{race.admitted} of {held.accounts} accounts")
    elif race.admitted != limit.most:
        race.wrong.append(f"{race.admitted} got in")


@contextmanager
def without_redis(server: GatewayServer) -> Iterator[None]:
    """Valkey stands still: the ledger decides, and has taken over."""
    for pid in server.product.pids("valkey"):
        os.kill(pid, signal.SIGSTOP)
    try:
        _await_generation(server, lambda number: number % 2 == 0)
        yield
    finally:
        for pid in server.product.pids("valkey"):
            os.kill(pid, signal.SIGCONT)
    _await_generation(server, lambda number: number % 2 == 1)


def _await_generation(server: GatewayServer, is_wanted: Callable[[int], bool]) -> None:
    [asking] = make_accounts(server.product.dsn, f"fence-{next(_numbers)}", [Wanted(1)])
    deadline = time.monotonic() + 60

    async def ask() -> None:
        connection = await LoadConnection.to(server.base_url)
        await connection.exchange(Ask("fence", asking).request(server.base_url))
        connection.close()

    while True:
        uvloop.run(ask())
        [(number,)] = server.sql("SELECT billing_generation()")
        if is_wanted(number):
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"The counter store is still in generation {number}.")
        time.sleep(0.2)


def main() -> int:
    """The exit status is 1 unless exactly the limit got in, every time."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.race", description=__doc__)
    parser.add_argument("--repetitions", type=int, default=50, help="of each limit, with Redis")
    parser.add_argument("--by-ledger", type=int, default=10, help="of each, with Redis away")
    options = parser.parse_args()
    exact = True
    print("| limit | decided by | races | requests | admitted | exact |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    with site(web_processes=WEB_PROCESSES, settings=SETTINGS) as server:
        for limit in LIMITS:
            exact &= _repeat(server, limit, options.repetitions, "Redis")
        if options.by_ledger:
            with without_redis(server):
                for limit in LIMITS:
                    exact &= _repeat(server, limit, options.by_ledger, "the ledger")
    return 0 if exact else 1


def _repeat(server: GatewayServer, limit: Limit, times: int, by: str) -> bool:
    races = [run_race(server, limit) for _ in range(times)]
    right = sum(not race.wrong for race in races)
    admitted = sorted({race.admitted for race in races})
    range_of = str(admitted[0]) if len(admitted) == 1 else f"{admitted[0]} to {admitted[-1]}"
    print(
        f"| {limit.name}, {limit.most:,} | {by} | {times} | {times * REQUESTS:,} | {range_of} "
        f"| {right} of {times} |",
        flush=True,
    )
    for race in races:
        for what in race.wrong:
            print(f"  {what}", file=sys.stderr, flush=True)
    return right == times


if __name__ == "__main__":
    sys.exit(main())
