"""`python -m bench.chaos`: three providers, each in turn failing in every way, under a steady load.

While a provider is ill the two others are well.  What should come of it, for each of them:

- at least 99 % of the requests get a whole answer
- within 10 s of its falling ill no caller is sent to it any more, unless it still answers
- within 70 s of its recovery callers are sent to it again
- no request is answered by two providers, and none is charged twice or without an answer
"""

import argparse
import asyncio
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp

from accounts.identifiers import encode
from bench.ledger import Ledger
from bench.pool.people import People, share
from bench.pool.providers import FAULTS, Call, SimulatedProvider
from bench.pool.site import MODEL, running_site
from bench.product import Product
from bench.servers import state_folder

_USERS: Final = 40
_RECOVERY_SECONDS: Final = 70.0
_OPENS_SECONDS: Final = 10.0
_STILL_ANSWERS: Final = frozenset({"slow"})


@dataclass(frozen=True, slots=True)
class Illness:
    """One provider's, and what came of it."""

    provider: str
    fault: str
    requests: int
    whole: int
    spared_after: float  # seconds until the last caller was sent to it
    back_after: float | None  # seconds until the first was sent to it again; None: nobody

    @property
    def is_well_borne(self) -> bool:
        """Whether it is as it should be."""
        return (
            share(self.whole, self.requests) >= 99
            and (self.fault in _STILL_ANSWERS or self.spared_after <= _OPENS_SECONDS)
            and self.back_after is not None
        )

    def __str__(self) -> str:
        back = "never" if self.back_after is None else f"{self.back_after:5.1f} s"
        return (
            f"{self.provider:<7} {self.fault:<21} {share(self.whole, self.requests):6.2f} % of "
            f"{self.requests} whole; spared after {self.spared_after:4.1f} s, back after {back}"
        )


class Chaos:
    """The load, the providers, and what is done to them."""

    def __init__(
        self, people: People, providers: list[SimulatedProvider], tokens: list[str], a_second: float
    ) -> None:
        self._people = people
        self._providers = providers
        self._tokens = tokens
        self._a_second = a_second

    async def suffer(self, ill: SimulatedProvider, fault: str, seconds: float) -> Illness:
        """Makes one provider ill for so long under the load, and waits until callers come again."""
        loads = [self._load(stream=stream) for stream in (False, True)]
        await asyncio.sleep(2)  # of peace
        began, first = time.monotonic(), len(self._people.asked)
        ill.fault = fault
        await asyncio.sleep(seconds)
        ill.fault, ended = "", time.monotonic()
        last = len(self._people.asked)
        came = [
            call.at
            for call in ill.calls
            if _is_concerned(call, fault) and began <= call.at <= ended
        ]
        back = await self._until_called(ill, fault, ended)
        for load in loads:
            load.cancel()
        await asyncio.gather(*loads, return_exceptions=True)
        asked = self._people.asked[first:last]
        await self._people.are_answered()
        return Illness(
            provider=ill.name,
            fault=fault,
            requests=len(asked),
            whole=sum(one.is_whole for one in asked),
            spared_after=max(came, default=began) - began,
            back_after=back,
        )

    def _load(self, *, stream: bool) -> "asyncio.Task[object]":
        asking = self._people.ask_steadily(self._tokens, self._a_second / 2, 600, stream=stream)
        return asyncio.create_task(asking)

    async def _until_called(
        self, provider: SimulatedProvider, fault: str, since: float
    ) -> float | None:
        while time.monotonic() - since < _RECOVERY_SECONDS:
            for call in reversed(provider.calls):
                if call.at < since:
                    break
                if _is_concerned(call, fault):
                    return call.at - since
            await asyncio.sleep(0.05)
        return None


def _is_concerned(call: Call, fault: str) -> bool:
    """Whether a caller's call suffers from it: who cuts streams is still good for whole answers."""
    return bool(call.mark) and (call.is_stream or fault != "cutting")


async def run(options: argparse.Namespace, var: Path) -> bool:
    """Prints what came of it; whether it is as it should be."""
    providers = [SimulatedProvider(name, latency=0.05) for name in ("first", "second", "third")]
    async with running_site(var, providers, balanced=True) as product:
        return await _suffer_all(product, providers, options)


async def _suffer_all(
    product: Product, providers: list[SimulatedProvider], options: argparse.Namespace
) -> bool:
    emails = [f"pro-{number}@example.com" for number in range(_USERS)]
    tokens = await asyncio.to_thread(product.issue_tokens, emails, "pro")
    timeout = aiohttp.ClientTimeout(total=120)
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), timeout=timeout
    ) as session:
        people = People(session, product.base_url, MODEL)
        chaos = Chaos(people, providers, tokens, options.rate)
        illnesses = []
        for fault in options.faults or FAULTS:
            for provider in providers[: options.providers]:
                illness = await chaos.suffer(provider, fault, options.seconds)
                illnesses.append(illness)
                print(illness, flush=True)
    await asyncio.to_thread(
        product.wait_until, lambda: Ledger(product.dsn).all_ended(emails), "all have ended"
    )
    return _books_agree(product, providers, people, emails) and all(
        one.is_well_borne for one in illnesses
    )


def _books_agree(
    product: Product, providers: list[SimulatedProvider], people: People, emails: list[str]
) -> bool:
    answered = Counter(
        call.mark
        for one in providers
        for call in one.calls
        if call.outcome in ("completed", *_STILL_ANSWERS) and call.mark
    )
    twice = [mark for mark, times in answered.items() if times > 1]
    rows = Ledger(product.dsn).rows(emails)
    charged = {encode("req", row.id): row for row in rows if row.charged}
    whole = {one.request_id: one for one in people.asked if one.is_whole}
    print(f"answered by two providers: {len(twice)}; whole {len(whole)}, charged {len(charged)}")
    asked = {one.request_id: one for one in people.asked}
    for wire_id in charged.keys() ^ whole.keys():
        print(f"  {charged.get(wire_id)} {asked.get(wire_id)}")
    return not twice and charged.keys() == whole.keys()


def main() -> int:
    """Run the chaos; the exit status is 1 when something is not as it should be."""
    parser = argparse.ArgumentParser(prog="python -m bench.chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=30, help="that each illness lasts")
    parser.add_argument("--rate", type=float, default=20, help="requests a second")
    parser.add_argument("--providers", type=int, default=3, help="of the three fall ill")
    parser.add_argument("faults", nargs="*", metavar="FAULT", help=", ".join(FAULTS))
    options = parser.parse_args()
    with state_folder() as var:
        good = asyncio.run(run(options, var))
    print("As it should be." if good else "Not as it should be.")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
