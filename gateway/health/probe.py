"""Does a deployment answer?  Asked with a real completion of one token, on nobody's account."""

import asyncio
import datetime as dt
import logging
import time
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from django.conf import settings

from accounts.identifiers import uuid7, uuid7_floor
from accounts.postgres import ReadPool
from billing.metering.redis_store import RedisStore
from gateway.capacity.counting import Capacity, CapacityTaken, Place
from gateway.catalogue.snapshot import Catalogue
from gateway.errors import GatewayError, ProviderRejected
from gateway.providers.client import Providers
from gateway.providers.reachability import Reachability
from gateway.types import ChatRequest, EmbeddingRequest, Kind, Target

logger = logging.getLogger(__name__)

PROBE_SECONDS: Final = 5.0
QUESTION: Final = "Say yes."
_STREAMED_TOKENS: Final = 16  # enough that a stream may break off on the way
_TOKENS: Final = 30  # what a probe takes, about
_LAST: Final = 9  # in any queue
_PROVEN_FOR: Final = dt.timedelta(minutes=1)

# Deployments that have just answered somebody, unless their last probe says otherwise: then it
# is for the next one to take that back.
_PROVEN: Final = """
SELECT DISTINCT entry.deployment FROM billing_ledgerentry entry
 WHERE entry.id >= %s AND entry.status = 'settled' AND coalesce((
       SELECT result.succeeded FROM gateway_proberesult result
         JOIN gateway_deployment deployment ON deployment.id = result.deployment_id
        WHERE deployment.name = entry.deployment
        ORDER BY result.probed_at DESC LIMIT 1), true)
"""


@dataclass(frozen=True, slots=True)
class Probe:
    """How one deployment answered; `error` says what was wrong, for staff."""

    deployment: str
    succeeded: bool
    latency_ms: int
    error: str = ""
    answered: bool = False
    """Whether it took the question at all, if only to refuse it."""


async def probe_usable(
    seconds: float = PROBE_SECONDS, only: frozenset[str] | None = None
) -> list[Probe]:
    """Probes every deployment that callers can be sent to and that live traffic does not prove.

    With `only`, those of these names, proven or not.  Each has so many seconds to answer.  Opens
    its own connections.  Raises PostgresUnavailable.
    """
    pool, store = ReadPool(size=1), RedisStore(settings.REDIS_URL)
    providers = Providers(connect=seconds, silence=seconds, reachability=Reachability.in_force())
    try:
        targets = await _targets_to_probe(pool, only)
        if not targets:
            return []
        await providers.open()
        capacity = Capacity(store)
        probes = (probe(providers, capacity, target, seconds) for target in targets)
        results = await asyncio.gather(*probes)
        await capacity.finish()
        return [one for one in results if one is not None]
    finally:
        await providers.close()
        await store.close()
        await pool.close()


async def probe(
    providers: Providers,
    capacity: Capacity,
    target: Target,
    seconds: float,
    *,
    stream: bool = False,
) -> Probe | None:
    """Asks one deployment for one token, or for a short stream, out of its capacity.

    None: that is all taken.
    Then it serves callers, and a probe too many would make it refuse one.
    """
    place = Place(uuid7(), _TOKENS, rank=_LAST)
    try:
        await capacity.take(target, place)
    except CapacityTaken:
        return None
    try:
        return await _ask(providers, target, seconds, stream=stream)
    finally:
        if target.capacity is not None:
            capacity.end(target, place.request_id, _TOKENS)


async def _ask(providers: Providers, target: Target, seconds: float, *, stream: bool) -> Probe:
    since = time.monotonic()
    error, answered = "", False
    try:
        async with asyncio.timeout(seconds):
            await _answer(providers, target, stream=stream)
    except TimeoutError:
        error = f"no answer within {seconds:g} s"
    except GatewayError as failure:
        error = f"{failure.code}: {failure.message}"
        answered = isinstance(failure, ProviderRejected)
    except Exception as failure:  # whatever it is, it is this deployment's and not the others'
        logger.exception("the probe of %s broke", target.deployment)
        error = f"{type(failure).__name__}: {failure}"
    latency_ms = int((time.monotonic() - since) * 1000)
    return Probe(target.deployment, not error, latency_ms, error, answered or not error)


async def _answer(providers: Providers, target: Target, *, stream: bool) -> None:
    """The least that can be asked of it; a GatewayError."""
    if target.kind == Kind.EMBEDDING:
        await providers.embed(target, EmbeddingRequest(target.upstream_model, (QUESTION,)))
        return
    request = ChatRequest(
        model=target.upstream_model,
        messages=({"role": "user", "content": QUESTION},),
        stream=stream,
        max_tokens=_STREAMED_TOKENS if stream else 1,
    )
    if not stream:
        await providers.complete(target, request)
        return
    async with aclosing(providers.stream(target, request)) as chunks:
        async for _ in chunks:
            pass


async def _targets_to_probe(pool: ReadPool, only: frozenset[str] | None) -> list[Target]:
    catalogue = Catalogue(pool, settings.PROVIDER_VARIABLES)
    await catalogue.refresh()
    targets = {target.deployment: target for row in catalogue.usable() for target in row.targets}
    if only is not None:
        return [target for name, target in sorted(targets.items()) if name in only]
    since = uuid7_floor(dt.datetime.now(dt.UTC) - _PROVEN_FOR)
    proven = {row[0] for row in await pool.fetch(_PROVEN, (since,))}
    return [target for name, target in sorted(targets.items()) if name not in proven]
