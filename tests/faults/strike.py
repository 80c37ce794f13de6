"""One fault under load: the load begins, the fault strikes, the books are closed and judged."""

import asyncio
import datetime as dt
import itertools
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import httpx
import psycopg

from tests.faults.books import Difference, Row, differences, read_rows
from tests.faults.crowd import Account, Wanted, make_accounts, wave
from tests.faults.pressure import Pressure, Sent, moment
from tests.faults.verdict import Verdict, judge
from tests.gateway_server import GatewayServer

AT_ONCE: Final = 24
_ROOMY_ACCOUNTS: Final = 8
_MOST_PRESSED: Final = 45
PATIENCE: Final = 90.0
"""Seconds until the books must be in order; what is not by then is lost."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How hard to try: how often a fault strikes, and how long what freezes stays frozen."""

    times: int
    frozen_seconds: float
    clients: int
    pause: float
    """Seconds of load between two strikes, at most."""
    streams: int
    """That would go on for ever while a process is told to stop."""
    refusals: int
    """By limits, after the last strike."""


LONG: Final = Scale(
    times=20, frozen_seconds=30.0, clients=10_000, pause=1.0, streams=8, refusals=200
)
SHORT: Final = Scale(times=2, frozen_seconds=2.5, clients=200, pause=0.3, streams=0, refusals=20)


@dataclass(slots=True)
class Strike:
    """What a fault's script works with.  It calls `struck` before and `recovered` after each."""

    site: GatewayServer
    load: Pressure
    scale: Scale
    chance: random.Random
    waves: list[list[Account]]
    clock_ahead: dt.timedelta
    times: int = 0
    recovery: float = 0.0
    last: float = 0.0

    def press(self) -> None:
        """From now on fresh accounts with limits are among those that ask."""
        if self.waves:
            self.load.pressed = [*self.waves.pop(0), *self.load.pressed][:_MOST_PRESSED]

    async def struck(self) -> None:
        """Fresh accounts with limits, a random moment later: now."""
        self.press()
        await asyncio.sleep(self.chance.uniform(0.1, 0.1 + self.scale.pause))
        self.times += 1
        self.last = moment()

    async def recovered(self, since: float | None = None) -> None:
        """Returns once a request is answered that began after the fault, or after `since`."""
        since = self.last if since is None else since
        served = await self.load.served_since(since, PATIENCE)
        self.recovery = max(self.recovery, served - since)


@dataclass(frozen=True, slots=True)
class Books:
    """All requests of a load with their replies, and all of its rows."""

    sent: list[Sent]
    rows: list[Row]


_numbers = itertools.count()
Script = Callable[[Strike], Awaitable[None]]


async def strike(
    site: GatewayServer,
    script: Script,
    scale: Scale,
    *,
    name: str,
    seed: int,
    clock_ahead: dt.timedelta = dt.timedelta(),
) -> tuple[Verdict, Books]:
    """The verdict on a fault, and what it is based on.  `name`: no other load's on this product."""
    # A part that is killed again and again before it was ever ready stops the start, as it should.
    await asyncio.to_thread(site.product.wait_until, lambda: _all_runs(site), "every part runs")
    site.upstream.reset()
    prefix = f"{name}-{next(_numbers)}"
    chance = random.Random(seed)
    dsn = site.product.dsn
    roomy = await asyncio.to_thread(make_accounts, dsn, prefix, [Wanted(_ROOMY_ACCOUNTS)])
    waves = [
        await asyncio.to_thread(wave, dsn, f"{prefix}-wave", number)
        for number in range(scale.times)
    ]
    accounts = [*roomy, *(account for one in waves for account in one)]
    load = Pressure(site.base_url, prefix, AT_ONCE, chance)
    load.roomy = roomy
    running = Strike(site, load, scale, chance, waves, clock_ahead)
    load.start()
    await load.served_since(0.0, PATIENCE)
    try:
        await script(running)
        # A counter that forgot something would let through now what its limit forbids.
        await load.refused(scale.refusals, PATIENCE)
    finally:
        await load.stop()
    rows, wrong = await in_order(site, accounts, clock_ahead)
    settled = moment() - running.last
    calls = await asyncio.to_thread(site.upstream.log, id_prefix=f"{prefix}-")
    verdict = judge(accounts, load.sent, rows, calls, wrong)
    verdict.times, verdict.recovery, verdict.settled = running.times, running.recovery, settled
    return verdict, Books(load.sent, rows)


def _all_runs(site: GatewayServer) -> bool:
    return "Ctrl-C stops everything" in site.product.output.read_text()


async def in_order(
    site: GatewayServer, accounts: list[Account], clock_ahead: dt.timedelta
) -> tuple[list[Row], list[Difference]]:
    """The rows and the counters that differ from them, once none does or patience is at its end."""
    until = moment() + PATIENCE
    while True:
        try:
            rows = await asyncio.to_thread(read_rows, site.product.dsn, accounts)
            wrong: list[Difference] = []
            if all(row.status != "reserved" for row in rows) or moment() > until:
                now = dt.datetime.now(dt.UTC) + clock_ahead
                wrong = await asyncio.to_thread(differences, site.base_url, rows, accounts, now)
                if not wrong or moment() > until:
                    return rows, wrong
        except (psycopg.OperationalError, httpx.HTTPError):
            if moment() > until:
                raise
        await asyncio.sleep(0.25)
