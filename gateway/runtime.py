"""What a process that serves requests has one of each: stores, catalogue, providers, steps."""

import asyncio
import datetime as dt
import gc
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

from django.conf import settings

from accounts.identifiers import uuid7
from accounts.identity import TokenUses
from accounts.postgres import PostgresUnavailable, ReadPool
from billing.metering.debts import QuotaDebts
from billing.metering.ledger import LedgerWriter
from billing.metering.prices import PriceBook
from billing.metering.processes import Heartbeat
from billing.metering.quota import Quota
from billing.metering.sums import LedgerSums
from billing.plans import PlanBook
from gateway import tokenizer
from gateway.catalogue.snapshot import Catalogue
from gateway.providers.client import Providers
from gateway.safety.guard import Guard
from gateway.steps.admit import Admission
from gateway.steps.authenticate import Authenticator
from gateway.steps.settle import Settlement
from gateway.upgrades import Upgrades

logger = logging.getLogger(__name__)

_STAFF_EDITS_SECONDS = 0.5  # plans, catalogue, rules: an edit acts within a second
_PRICES_SECONDS = 5.0
_FINGERPRINTS_SECONDS = 1.0
_SHOWINGS_SECONDS = 0.5  # a click on what was shown comes later than that


class Gateway:
    """Everything that the request path needs, wired.  `start` before use, `stop` after."""

    def __init__(self) -> None:
        self.process_id = uuid7()
        self.reads = ReadPool()
        self.plans = PlanBook(self.reads)
        self.prices = PriceBook(self.reads)
        self.catalogue = Catalogue(self.reads, settings.PROVIDER_VARIABLES)
        self.guard = Guard(self.reads)
        self.token_uses = TokenUses()
        self.heartbeat = Heartbeat(
            self.reads, self.process_id, partial(self.token_uses.write, self.reads)
        )
        self.ledger = LedgerWriter()
        self.quota = Quota(
            settings.REDIS_URL, process_id=self.process_id, ledger=LedgerSums(self.reads)
        )
        self.debts = QuotaDebts(self.quota)
        self.providers = Providers(
            connect=settings.GATEWAY_CONNECT_SECONDS, silence=settings.GATEWAY_SILENCE_SECONDS
        )
        self.authenticator = Authenticator(self.reads, self.plans, self.token_uses)
        self.admission = Admission(
            catalogue=self.catalogue,
            plans=self.plans,
            quota=self.quota,
            ledger=self.ledger,
            debts=self.debts,
            heartbeat=self.heartbeat,
            process_id=self.process_id,
            longest=dt.timedelta(seconds=settings.GATEWAY_DEADLINE_SECONDS),
        )
        self.upgrades = Upgrades(self.quota, self.reads)
        self.settlement = Settlement(self.ledger, self.quota, self.debts, self.prices)
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Connects and reads; raises if Postgres or Redis is away."""
        await self.reads.open()
        begun = await asyncio.gather(
            self.ledger.start(),
            self.quota.ping(),
            self.providers.open(),
            asyncio.to_thread(tokenizer.warm),
            return_exceptions=True,  # so that none is still starting when one has failed
        )
        if failure := next(filter(None, begun), None):
            raise failure
        await asyncio.gather(
            self.plans.refresh(),
            self.catalogue.refresh(),
            self.prices.refresh(),
            self.guard.refresh(),
        )
        await self.heartbeat.start()
        self.debts.start()
        self._tasks = [
            asyncio.create_task(_repeat(self.plans.refresh, _STAFF_EDITS_SECONDS)),
            asyncio.create_task(_repeat(self.catalogue.refresh, _STAFF_EDITS_SECONDS)),
            asyncio.create_task(_repeat(self.prices.refresh, _PRICES_SECONDS)),
            asyncio.create_task(_repeat(self.guard.refresh, _STAFF_EDITS_SECONDS)),
            asyncio.create_task(_repeat(self.upgrades.write, _SHOWINGS_SECONDS)),
            asyncio.create_task(_repeat(self.guard.write, _FINGERPRINTS_SECONDS)),
        ]
        # litellm leaves a heap that a full collection walks for 200 ms: it is all still in use.
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 50, 100)

    async def stop(self) -> None:
        """Settles and writes whatever is still owed, then closes."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.settlement.finish()
        await self.ledger.stop()
        await self.debts.stop()
        await self.heartbeat.stop()
        await _attempt(self.upgrades.write)
        await _attempt(self.guard.write)
        await self.providers.close()
        await self.quota.close()
        await self.reads.close()


async def _repeat(work: Callable[[], Awaitable[None]], seconds: float) -> None:
    while True:
        await asyncio.sleep(seconds)
        await _attempt(work)


async def _attempt(work: Callable[[], Awaitable[None]]) -> None:
    """Reads or writes what there is; if that fails, what was read last stays."""
    try:
        await work()
    except PostgresUnavailable:
        return  # nothing is admitted without it either
    except Exception:
        logger.exception("%s failed", getattr(work, "__qualname__", work))


_current: Gateway | None = None


def current() -> Gateway:
    """This process's gateway; RuntimeError where none runs."""
    if _current is None:
        raise RuntimeError("no gateway runs in this process")
    return _current


@asynccontextmanager
async def running() -> AsyncIterator[Gateway]:
    """A gateway that runs for the length of a `with`, and is the current one."""
    global _current  # noqa: PLW0603  (a process has one)
    gateway = Gateway()
    try:
        await gateway.start()
        _current = gateway
        yield gateway
    finally:
        _current = None
        await gateway.stop()
