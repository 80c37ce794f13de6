"""The faults: what is done to the product under load, and how often."""

import asyncio
import os
import signal
from functools import partial

import redis

from bench.cpu import descendants
from bench.product import Product
from tests.faults.pressure import moment
from tests.faults.strike import PATIENCE, Script, Strike


async def flush_counters(strike: Strike) -> None:
    """FLUSHALL, again and again."""
    with redis.Redis.from_url(strike.site.product.paths.valkey_url) as client:
        for _ in range(strike.scale.times):
            await strike.struck()
            await asyncio.to_thread(client.flushall)
            await strike.recovered()


def kill(part: str) -> Script:
    """SIGKILL to a process of this part, each time it runs again."""
    return partial(_kill, part)


async def _kill(part: str, strike: Strike) -> None:
    product = strike.site.product
    count = len(product.pids(part))
    for number in range(strike.scale.times):
        pids = product.pids(part)
        if part == "postgres" and number % 2:  # one of its processes instead of its first
            pids = [one.pid for pid in pids for one in descendants(pid)]
        await strike.struck()
        product.kill(strike.chance.choice(pids))
        await strike.recovered()
        await running(product, part, count)


async def kill_worker(strike: Strike) -> None:
    """SIGKILL to the worker, while it has a dead web process to sweep up after."""
    product = strike.site.product
    web = len(product.pids("web"))
    for number in range(strike.scale.times):
        if number % 5 == 0:
            product.kill(strike.chance.choice(product.pids("web")))
        await strike.struck()
        for pid in product.pids("worker"):
            product.kill(pid)
        await strike.recovered()
        await running(product, "worker", 1)
        await running(product, "web", web)


def freeze(part: str) -> Script:
    """SIGSTOP for a while, once."""
    return partial(_freeze, part)


async def _freeze(part: str, strike: Strike) -> None:
    await strike.struck()
    pids = strike.site.product.pids(part)
    if part == "postgres":  # its processes are many: all of them stand still
        pids += [one.pid for pid in pids for one in descendants(pid)]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        await asyncio.sleep(strike.scale.frozen_seconds)
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    strike.last = moment()
    await strike.recovered()


async def running(product: Product, part: str, count: int) -> None:
    """Returns once so many processes of a part run, and the product is ready."""

    def is_so() -> bool:
        return len(product.pids(part)) == count and product.is_ready()

    await asyncio.to_thread(product.wait_until, is_so, f"{count} {part} run", PATIENCE)
