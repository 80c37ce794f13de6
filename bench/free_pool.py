"""`python -m bench.free_pool`: a thousand free users and some of Pro's at a pool of providers.

The first is what Gemini Flash is for free: 15 requests a minute and a million tokens a day.
Asked is far more than all four allow.  What should come of it:

- no provider refuses anything: what it allows is known here, and not exceeded
- every refusal says when to come again, and then there was room: it was free, or somebody had
  taken it in the moment before
- Pro does not notice: as fast as when it was alone
"""

import argparse
import asyncio
import sys
from collections import Counter
from pathlib import Path
from typing import Final

import aiohttp

from bench.pool.people import Asked, People, latency_at, share
from bench.pool.providers import SimulatedProvider
from bench.pool.site import MODEL, running_site
from bench.product import Product
from bench.servers import state_folder

_PRO_A_SECOND: Final = 0.2
_FREE_A_SECOND: Final = 6.0
_MOMENT: Final = 1.5  # seconds: between a refusal and a provider's noting of who was faster


def pool() -> list[SimulatedProvider]:
    """Gemini Flash and three to fall back on."""
    return [
        SimulatedProvider("gemini-flash", requests_per_minute=15, tokens_per_day=1_000_000),
        SimulatedProvider("second", requests_per_minute=20, latency=0.3),
        SimulatedProvider("third", requests_per_minute=20, latency=0.3),
        SimulatedProvider("fourth", requests_per_minute=30, latency=0.4),
    ]


async def run(users: int, seconds: float, var: Path) -> bool:
    """Prints what came of it; whether it is as it should be."""
    providers = pool()
    async with running_site(var, providers, balanced=False) as product:
        emails = [f"free-{n}@example.com" for n in range(users)]
        free = await asyncio.to_thread(product.issue_tokens, emails, "free")
        emails = [f"pro-{n}@example.com" for n in range(5)]
        pro = await asyncio.to_thread(product.issue_tokens, emails, "pro")
        alone, beside, crowd = await _load(product, free, pro, seconds)
    return _report(providers, alone, beside, crowd)


async def _load(
    product: Product, free: list[str], pro: list[str], seconds: float
) -> tuple[list[Asked], list[Asked], list[Asked]]:
    """Pro alone for a while; then Pro, and beside it the crowd."""
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=120)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        alone = People(session, product.base_url, MODEL)
        await alone.ask_steadily(pro, _PRO_A_SECOND, seconds / 2)
        beside, crowd = (People(session, product.base_url, MODEL) for _ in range(2))
        await asyncio.gather(
            beside.ask_steadily(pro, _PRO_A_SECOND, seconds),
            crowd.ask_steadily(free, _FREE_A_SECOND, seconds),
        )
    return alone.asked, beside.asked, crowd.asked


def _report(
    providers: list[SimulatedProvider],
    alone: list[Asked],
    beside: list[Asked],
    crowd: list[Asked],
) -> bool:
    for one in providers:
        print(f"{one.name}: {len(one.calls)} calls, {one.refused} refused by it")
    print(f"free: {dict(Counter(one.status for one in crowd))} of {len(crowd)} requests")
    refused = [one for one in crowd if one.status != 200]
    untrue = [one for one in refused if not _was_true(one, providers)]
    print(f"refusals: {len(refused)}, of which {len(untrue)} without a true Retry-After")
    for one in untrue[:3]:
        print(f"  {one.status} retry-after {one.retry_after}: {one.error}")
    print(f"Pro: {share(sum(one.is_whole for one in beside), len(beside)):.1f} % answered")
    before, after = (latency_at(asked, 0.95) * 1000 for asked in (alone, beside))
    print(f"Pro's p95: {before:.0f} ms alone, {after:.0f} ms beside the crowd")
    return (
        not untrue
        and all(one.refused == 0 for one in providers)
        and all(one.is_whole for one in (*alone, *beside))
        and after < 1.25 * before
    )


def _was_true(refusal: Asked, providers: list[SimulatedProvider]) -> bool:
    if refusal.status != 503 or refusal.retry_after is None:
        return False
    then = refusal.ended + refusal.retry_after
    taken = any(
        then - _MOMENT < at <= then + _MOMENT for one in providers for at in one.accepted_at()
    )
    return taken or any(one.has_room_at(then) for one in providers)


def main() -> int:
    """Run the simulation; the exit status is 1 when something is not as it should be."""
    parser = argparse.ArgumentParser(prog="python -m bench.free_pool", description=__doc__)
    parser.add_argument("--users", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=180)
    options = parser.parse_args()
    with state_folder() as var:
        good = asyncio.run(run(options.users, options.seconds, var))
    print("As it should be." if good else "Not as it should be.")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
