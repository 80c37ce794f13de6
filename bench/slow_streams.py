"""`python -m bench.slow_streams`: what memory a web process takes for many slow streams at once.

Each stream's provider says a word a second, and half of the readers read nothing before the last
word is out: what they have not read must wait at the provider, not here.
"""

import argparse
import asyncio
import sys
from itertools import cycle
from pathlib import Path

import aiohttp

from bench.load import LAST_EVENT, PROMPT
from bench.product import Product
from bench.servers import MODEL, state_folder
from tests.upstream.double import UpstreamDouble
from tests.upstream.script import marker

_MOST_MEGABYTES = 600
_AT_ONCE = 20  # of one account on Pro


def resident_megabytes(pid: int) -> float:
    """The memory that a process has in use."""
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(one for one in status.splitlines() if one.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


async def read(
    session: aiohttp.ClientSession, product: Product, token: str, seconds: int, *, late: bool
) -> bool:
    """One stream; whether it was whole."""
    script = {"tokens": seconds, "chunks": seconds, "gap": 1}
    body = {
        "model": MODEL,
        "messages": [{"role": "user", "content": PROMPT + marker(**script)}],
        "stream": True,
    }
    headers = {"authorization": f"Bearer {token}"}
    async with session.post(
        f"{product.base_url}/chat/completions", json=body, headers=headers
    ) as answer:
        if late:
            await asyncio.sleep(seconds)
        return answer.status == 200 and (await answer.read()).endswith(LAST_EVENT)


async def run(product: Product, tokens: list[str], streams: int, seconds: int) -> bool:
    """Prints the memory before and while they run; whether it is as it should be."""
    [web] = product.pids("web")
    before, most = resident_megabytes(web), 0.0
    timeout = aiohttp.ClientTimeout(total=None)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        reading = []
        for number, token in zip(range(streams), cycle(tokens), strict=False):
            late = number % 2 == 0
            one = read(session, product, token, seconds, late=late)
            reading.append(asyncio.create_task(one))
            await asyncio.sleep(0.002)
        while not all(one.done() for one in reading):
            most = max(most, resident_megabytes(web))
            await asyncio.sleep(0.5)
    whole = sum(one.result() for one in reading)
    print(f"{whole} of {streams} streams whole")
    print(f"the web process took {before:.0f} MB before, {most:.0f} MB at most")
    return whole == streams and most < _MOST_MEGABYTES


def main() -> int:
    """Measure; the exit status is 1 when it is not as it should be."""
    parser = argparse.ArgumentParser(prog="python -m bench.slow_streams", description=__doc__)
    parser.add_argument("--streams", type=int, default=2_000)
    parser.add_argument("--seconds", type=int, default=30)
    options = parser.parse_args()
    with (
        state_folder() as var,
        UpstreamDouble() as double,
        Product(var, upstream=double.base_url) as product,
    ):
        emails = [f"slow-{n}@example.com" for n in range(options.streams // _AT_ONCE + 1)]
        tokens = product.issue_tokens(emails, "pro")
        good = asyncio.run(run(product, tokens, options.streams, options.seconds))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
