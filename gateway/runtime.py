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
from billing.metering.bookings import Bookings
from billing.metering.debts import QuotaDebts
from billing.metering.fence import Fence
from billing.metering.ledger import LedgerWriter
from billing.metering.ledger_admission import LedgerAdmission
from billing.metering.prices import PriceBook
from billing.metering.processes import Heartbeat
from billing.metering.quota import Quota, QuotaUnavailable
from billing.metering.redis_store import RedisStore
from billing.metering.refusals import Refusals, Refused
from billing.metering.sums import LedgerSums
from billing.plans import PlanBook
from gateway.answer_cache import AnswerCache
from gateway.capacity.counting import RENEW_SECONDS, Capacity
from gateway.catalogue.snapshot import Catalogue
from gateway.errors import GatewayError, LimitReached, StoreUnavailable
from gateway.health.board import StatusBoard
from gateway.health.circuits import Circuits
from gateway.health.grudges import Grudges
from gateway.health.probe import PROBE_SECONDS, probe
from gateway.health.reports import CircuitReports
from gateway.health.rests import Rests
from gateway.idempotency.once import Once
from gateway.providers.client import Providers
from gateway.providers.reachability import Reachability
from gateway.safety.guard import Guard
from gateway.sizing.text import warm_tokenizer
from gateway.steps.admit import Admission
from gateway.steps.authenticate import Authenticator
from gateway.steps.route import Router
from gateway.steps.settle import Settlement
from gateway.types import Caller, Presented, Reservation
from gateway.upgrades import Upgrades

logger = logging.getLogger(__name__)

_STAFF_EDITS_SECONDS = 0.5  # plans, catalogue, rules: an edit acts within a second
_PRICES_SECONDS = 5.0
_REFUSALS_SECONDS = 0.5
_FINGERPRINTS_SECONDS = 1.0
_CIRCUITS_SECONDS = 1.0
_STATUS_SECONDS = 5.0
_SHOWINGS_SECONDS = 0.5  # a click on what was shown comes later than that


class Gateway:
    """Everything that the request path needs, wired.  `start` before use, `stop` after."""

    def __init__(self) -> None:
        self.process_id = uuid7()
        self.reads = ReadPool()
        self.plans = PlanBook(self.reads)
        self.prices = PriceBook(self.reads)
        self.catalogue = Catalogue(self.reads, settings.PROVIDER_VARIABLES)
        self.circuits = Circuits()
        self.grudges = Grudges()
        self.rests = Rests()
        self.circuit_reports = CircuitReports(self.circuits, self.reads, self.process_id)
        self.guard = Guard(self.reads)
        self.token_uses = TokenUses()
        self.heartbeat = Heartbeat(
            self.reads, self.process_id, partial(self.token_uses.write, self.reads)
        )
        self.ledger = LedgerWriter()
        self.store = RedisStore(settings.REDIS_URL)
        self.capacity = Capacity(self.store, settings.GATEWAY_PATIENCE_SECONDS)
        self.router = Router(
            self.catalogue, self.circuits, self.rests, self.grudges, self.capacity.in_flight
        )
        self.status = StatusBoard(self.reads, self.catalogue, self.store.ping)
        self.fence = Fence(self.reads, self.store.ping)
        self.quota = Quota(
            self.store,
            process_id=self.process_id,
            ledger=LedgerSums(self.reads),
            generation=self.fence,
        )
        self.debts = QuotaDebts(self.quota, self.fence)
        self.admissions = ReadPool()  # of its own: who waits for a lock must not hold up look-ups
        self.providers = Providers(
            connect=settings.GATEWAY_CONNECT_SECONDS,
            silence=settings.GATEWAY_SILENCE_SECONDS,
            reachability=Reachability.in_force(),
        )
        self.authenticator = Authenticator(self.reads, self.plans, self.token_uses)
        self.admission = Admission(
            catalogue=self.catalogue,
            plans=self.plans,
            bookings=Bookings(
                quota=self.quota,
                ledger=self.ledger,
                without_redis=LedgerAdmission(self.admissions),
                fence=self.fence,
                debts=self.debts,
                heartbeat=self.heartbeat,
                survives_redis=settings.REDIS_AWAY == "ledger",
            ),
            process_id=self.process_id,
            longest=dt.timedelta(seconds=settings.GATEWAY_DEADLINE_SECONDS),
        )
        self.once = Once(
            self.reads,
            self.quota,
            self.heartbeat,
            process_id=self.process_id,
            most_bytes=settings.GATEWAY_KEPT_ANSWER_BYTES,
        )
        self.cache = AnswerCache(
            self.store, self.quota, most_bytes=settings.GATEWAY_KEPT_ANSWER_BYTES
        )
        self.upgrades = Upgrades(self.quota, self.reads)
        self.refusals = Refusals()
        self.settlement = Settlement(self.ledger, self.quota, self.debts, self.prices, self.fence)
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Connects and reads; raises if Postgres or Redis is away."""
        await self.reads.open()
        begun = await asyncio.gather(
            self.ledger.start(),
            self._ping(),
            self.providers.open(),
            asyncio.to_thread(warm_tokenizer),
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
        await self.status.refresh()  # after the catalogue
        await self.fence.start()
        await self.heartbeat.start()
        self.debts.start()
        self._tasks = [
            asyncio.create_task(_repeat(self.plans.refresh, _STAFF_EDITS_SECONDS)),
            asyncio.create_task(_repeat(self.catalogue.refresh, _STAFF_EDITS_SECONDS)),
            asyncio.create_task(_repeat(self.prices.refresh, _PRICES_SECONDS)),
            asyncio.create_task(_repeat(self.guard.refresh, _STAFF_EDITS_SECONDS)),
            asyncio.create_task(_repeat(self.upgrades.write, _SHOWINGS_SECONDS)),
            asyncio.create_task(_repeat(self._write_refusals, _REFUSALS_SECONDS)),
            asyncio.create_task(_repeat(self.guard.write, _FINGERPRINTS_SECONDS)),
            asyncio.create_task(_repeat(self._probe_open_circuits, _CIRCUITS_SECONDS)),
            asyncio.create_task(_repeat(self.capacity.renew, RENEW_SECONDS)),
            asyncio.create_task(_repeat(self.status.refresh, _STATUS_SECONDS)),
            asyncio.create_task(_repeat(self.circuit_reports.write, _CIRCUITS_SECONDS)),
        ]
        # litellm leaves a heap that a full collection walks for 200 ms: it is all still in use.
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 50, 100)

    def refused(
        self, presented: Presented, error: GatewayError, caller: Caller | None, model: str
    ) -> None:
        """Notes that a request was not admitted; what is noted is written in a moment."""
        if isinstance(error, StoreUnavailable):  # there is nowhere to write it
            return
        if caller is not None:
            self.upgrades.refused(caller, error, presented.channel)
        known = caller if caller is not None and not caller.is_new else None
        self.refusals.note(
            Refused(
                presented.request_id,
                error.code,
                # What is said of a body that can't be read quotes it.
                error.message if caller else "",
                account_id=known.account_id if known else None,
                token_id=known.token_id if known else None,
                tier=caller.limits.tier if caller else "",
                model=model,
                limit=error.limit.name if isinstance(error, LimitReached) else "",
                address=presented.address,
            )
        )

    def saw(self, reservation: Reservation, deployment: str, outcome: str, ended: bool) -> None:
        """Notes what an attempt for this request came to; `ended`: how its stream did, at last."""
        self.circuits.saw(deployment, outcome, ended=ended)
        self.grudges.saw(reservation.caller.account_id, deployment, outcome)

    async def _write_refusals(self) -> None:
        await self.refusals.write(self.reads)

    async def _probe_open_circuits(self) -> None:
        """Asks the deployments that failed whether they answer again, all side by side."""
        if not (due := self.circuits.to_probe(spared=self.rests.holds)):
            return
        targets = {one.deployment: one for row in self.catalogue.usable() for one in row.targets}
        for gone in (line for line in due if line.deployment not in targets):
            self.circuits.forget(gone.deployment)
        asked = [line for line in due if line.deployment in targets]
        answers = await asyncio.gather(
            *(
                probe(
                    self.providers,
                    self.capacity,
                    targets[line.deployment],
                    PROBE_SECONDS,
                    stream=line.streams,
                )
                for line in asked
            )
        )
        for line, answer in zip(asked, answers, strict=True):
            self.circuits.probed(line, succeeded=answer is not None and answer.answered)

    async def _ping(self) -> None:
        try:
            await self.store.ping()
        except QuotaUnavailable:
            if settings.REDIS_AWAY != "ledger":
                raise

    async def stop(self) -> None:
        """Settles and writes whatever is still owed, then closes."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.settlement.finish()
        await self.once.finish()
        await self.capacity.finish()
        await self.cache.finish()
        await self.ledger.stop()
        await self.debts.stop()
        await self.heartbeat.stop()
        await _attempt(self.upgrades.write)
        await _attempt(self._write_refusals)
        await _attempt(self.guard.write)
        await _attempt(self.circuit_reports.close)
        await self.providers.close()
        await self.fence.stop()
        await self.store.close()
        await self.admissions.close()
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
