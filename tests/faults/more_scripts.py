"""Faults that no signal is: the clock, the disk, an orderly stop, the upstream, the clients."""

import asyncio
import contextlib
import datetime as dt
import errno
import itertools
import os
import signal

from bench.connection import LoadConnection
from tests.faults.pressure import TOKENS, Ask, Sent, exchange, moment
from tests.faults.scripts import running
from tests.faults.strike import Strike

_CLIENTS_AT_ONCE = 64
_PIECE = b"\0" * 65536
_LONGEST_WAIT = 120.0  # seconds


async def cross_the_hour(strike: Strike) -> None:
    """The hour ends under load, and the day with it if it is the last one; all clocks agree."""
    begun = _hour(strike)
    async with asyncio.timeout(_LONGEST_WAIT):  # an hour if it ended before the load began
        while _hour(strike) == begun:
            strike.press()
            await asyncio.sleep(1.0)
    strike.times, strike.last = 1, moment()
    await strike.recovered()
    for _ in range(4):  # whoever was at their limit may go on, up to it
        await asyncio.sleep(1.0)


def _hour(strike: Strike) -> dt.datetime:
    now = dt.datetime.now(dt.UTC) + strike.clock_ahead
    return now.replace(minute=0, second=0, microsecond=0)


async def fill_the_disk(strike: Strike) -> None:
    """Leaves no byte on the disk that the product's state is on, Postgres's too, for a while."""
    await strike.struck()
    until = moment() + strike.scale.frozen_seconds
    filler = strike.site.product.paths.var / "filler"
    with filler.open("wb", buffering=0) as file:
        while moment() < until:
            _fill_up(file.fileno())
            await asyncio.sleep(0.01)
    filler.unlink()
    strike.last = moment()
    await strike.recovered()


def _fill_up(file: int) -> None:
    try:
        while True:
            os.write(file, _PIECE)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise


async def stop_web_processes(strike: Strike) -> None:
    """SIGTERM to one web process after another, with streams on it that would never end."""
    product = strike.site.product
    count = len(product.pids("web"))
    for number in range(strike.scale.times):
        streams = [
            _endless(strike, f"endless-{number}-{one}") for one in range(strike.scale.streams)
        ]
        listening = [asyncio.create_task(one) for one in streams]
        await strike.struck()
        pid = strike.chance.choice(product.pids("web"))
        os.kill(pid, signal.SIGTERM)
        await strike.recovered()
        await asyncio.to_thread(
            product.wait_until, lambda pid=pid: pid not in product.pids("web"), "it has stopped"
        )
        await running(product, "web", count)
        for one in listening:  # on the processes that went on
            one.cancel()
        await asyncio.gather(*listening, return_exceptions=True)


async def _endless(strike: Strike, name: str) -> None:
    """A client of a stream that stalls after two chunks, until one of the two sides ends it."""
    load = strike.load
    script = {"tokens": TOKENS, "stall": 2}
    ask = Ask(f"{load.prefix}-{name}", strike.chance.choice(load.roomy), True, script)
    connection = await LoadConnection.to(load.address)
    answer = asyncio.create_task(exchange(connection, ask, load.address))
    try:
        load.sent.append(Sent(ask, await asyncio.shield(answer)))
    except asyncio.CancelledError:
        connection.close()
        load.sent.append(Sent(Ask(ask.mark, ask.account, True, script, 0.0), await answer))


async def stop_all(strike: Strike) -> None:
    """The whole product is stopped as by Ctrl-C, and started again."""
    for _ in range(strike.scale.times):
        await strike.struck()
        await asyncio.to_thread(strike.site.product.stop)
        await asyncio.to_thread(strike.site.start_again)
        strike.load.address = strike.site.base_url
        await strike.recovered()


async def answer_nothing(strike: Strike) -> None:
    """The upstream takes requests and never answers, or falls silent in the middle."""
    kinds = itertools.cycle(({"fault": "timeout"}, {"stall": 2}))
    until = moment() + strike.scale.frozen_seconds
    while moment() < until:
        await strike.struck()
        strike.load.script = next(kinds)
        await asyncio.sleep(1.0)
    strike.load.script = {}
    strike.last = moment()
    await strike.recovered()


async def hang_up(strike: Strike) -> None:
    """Clients that connect, send all or a part, and are gone a random moment later."""
    numbers = iter(range(strike.scale.clients))
    each = strike.scale.clients // strike.scale.times

    async def keep_coming() -> None:
        for number in numbers:
            if number % each == 0:
                strike.press()
            with contextlib.suppress(OSError):
                await _come_and_go(strike, number)

    await strike.struck()
    async with asyncio.TaskGroup() as group:
        for _ in range(_CLIENTS_AT_ONCE):
            group.create_task(keep_coming())
    strike.times, strike.last = strike.scale.clients, moment()
    await strike.recovered()


async def _come_and_go(strike: Strike, number: int) -> None:
    load, chance = strike.load, strike.chance
    accounts = [one for one in load.pressed if one.limit != "concurrent_requests"]
    account = chance.choice([*load.roomy, *accounts])
    script: dict[str, object] = {"tokens": TOKENS, "first": 0.01, "gap": 0.005}
    patience = chance.uniform(0, 0.02) if chance.random() < 0.3 else chance.uniform(0, 0.3)
    ask = Ask(f"{load.prefix}-gone-{number}", account, chance.random() < 0.5, script, patience)
    connection = await LoadConnection.to(load.address)
    share = chance.random() if chance.random() < 0.2 else 1.0
    load.sent.append(Sent(ask, await exchange(connection, ask, load.address, share)))
    connection.close()
