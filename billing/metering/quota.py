"""Admission: books a request against its account's limits, all or nothing, in one Redis script.

Redis is a cache of the ledger.  An account that it knows nothing of is *cold*, never zero: the
ledger is summed and the account seeded.  What makes that exact while requests run:

* A booking is made in Redis first and committed to the ledger right after.  A store that lost its
  memory in between is recognised by its young epoch; a cold account in it is summed only once
  every booking from before must have been committed (`commit_bound`), and a booking whose commit
  took longer than that is booked again (`QuotaBooking.may_be_forgotten`).  A sum is taken for the
  epoch that it was asked in and no other.
* An ending is committed to the ledger first and told to Redis right after.  If the account is cold
  then, the script leaves a tombstone that the seeding takes into account.
"""

import asyncio
import contextlib
import time
import uuid
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError, RedisError  # noqa: A004

from billing.metering.sums import LedgerReader
from billing.metering.usage import Counters, LimitState, Usage
from billing.plans import Limits

PARTITIONS: Final = 256
COMMIT_BOUND_SECONDS: Final = 0.3
_ACCOUNT_KEYS: Final = "scalix:*:account:*"
_SCAN_KEYS: Final = 1000
_CONNECTIONS: Final = 32
# Long enough for a process that is starved or busy: its own pauses count as the store's.
_ANSWER_SECONDS: Final = 1.0
_KNOCK_SECONDS: Final = 0.1
_SCRIPT: Final = Path(__file__).with_name("quota.lua").read_text()
_NO_LIMIT: Final = -1


class QuotaUnavailable(Exception):
    """The counter store is away or did not answer: nothing may be admitted."""


class QuotaRefused(Exception):
    """A limit forbids the request; nothing was booked."""

    def __init__(self, usage: Usage, limit: LimitState, tokens_needed: int) -> None:
        super().__init__(limit.name)
        self.usage = usage
        self.limit = limit
        self.tokens_needed = tokens_needed


@dataclass(frozen=True, slots=True)
class HeldBooking:
    """A booking as the store has it."""

    account_id: uuid.UUID
    request_id: uuid.UUID
    process_id: uuid.UUID
    deadline_ms: int


@dataclass(frozen=True, slots=True)
class QuotaRequest:
    """What is to be booked.  Tokens are bounds: a prompt's, and the most that may be answered."""

    request_id: uuid.UUID
    account_id: uuid.UUID
    limits: Limits
    prompt_tokens: int
    output_tokens: int | None  # None: as many as the limits leave, or the model's own maximum
    least_output_tokens: int
    deadline_ms: int


@dataclass(frozen=True, slots=True)
class QuotaBooking:
    """A booked request."""

    usage: Usage
    output_tokens: int | None  # what it may produce; None: no limit stands in the way
    asked_at: float  # time.monotonic() before the store was asked

    def may_be_forgotten(self, commit_bound: float) -> bool:
        """Whether the store could have lost this booking and been seeded without it by now."""
        return time.monotonic() - self.asked_at > commit_bound


class Quota:
    """The counters of every account.  One per process, for any number of tasks in one loop."""

    def __init__(
        self,
        redis_url: str,
        *,
        process_id: uuid.UUID,
        ledger: LedgerReader,
        commit_bound: float = COMMIT_BOUND_SECONDS,
        clock_ms: int = 0,
    ) -> None:
        self._redis: Redis = Redis.from_url(
            redis_url,
            socket_connect_timeout=None,  # `_ask` bounds it all
            socket_timeout=None,
            # One repetition on a new connection, for one that died idle: every script may be
            # repeated.  More would only keep the caller waiting for its 503.
            retry=Retry(NoBackoff(), 1, supported_errors=(ConnectionError,)),
        )
        self._slots = asyncio.Semaphore(_CONNECTIONS)
        self._knocking: asyncio.Task[None] | None = None  # as long as the store does not answer
        self._script = self._redis.register_script(_SCRIPT)
        self._process_id = process_id
        self._ledger = ledger
        self.commit_bound = commit_bound
        self.clock_ms = clock_ms  # a test's clock; 0: the store's own

    async def ping(self) -> None:
        """Raises QuotaUnavailable unless the store answers."""
        await self._ask(self._redis.ping)

    async def close(self) -> None:
        """Closes the connections."""
        if self._knocking is not None:
            self._knocking.cancel()
        await self._redis.aclose()

    async def reserve(self, request: QuotaRequest) -> QuotaBooking:
        """Books the request, or raises QuotaRefused with nothing booked.  Safe to repeat."""
        limits, asked_at = request.limits, time.monotonic()
        arguments = (
            str(request.request_id),
            str(self._process_id),
            request.deadline_ms,
            request.prompt_tokens,
            _or_none(request.output_tokens),
            request.least_output_tokens,
            limits.concurrent_requests,
            _or_none(limits.requests_per_hour),
            _or_none(limits.requests_per_day),
            _or_none(limits.tokens_per_day),
        )
        verdict, counters, output = await self._warm(request.account_id, "reserve", arguments)
        usage = Usage(limits, counters)
        if verdict != "admitted":
            needed = request.prompt_tokens + request.least_output_tokens
            raise QuotaRefused(usage, usage.state(verdict), needed)
        return QuotaBooking(usage, None if output == _NO_LIMIT else output, asked_at)

    async def settle(
        self, account_id: uuid.UUID, request_id: uuid.UUID, *, charged: bool, tokens: int
    ) -> Counters | None:
        """Replaces the booking by what it came to, once; None if the account has gone cold.

        Not charged, it leaves every counter as it was before.
        """
        arguments = (str(request_id), int(charged), tokens)
        verdict, counters, _ = await self._run(account_id, "settle", arguments)
        return None if verdict == "cold" else counters

    async def peek(self, account_id: uuid.UUID, limits: Limits) -> Usage:
        """The account's usage now, without booking anything."""
        _, counters, _ = await self._warm(account_id, "peek", ())
        return Usage(limits, counters)

    async def forget(self, account_id: uuid.UUID) -> None:
        """Makes the account cold: the next question sums it anew from the ledger."""
        await self._ask(partial(self._redis.delete, f"{_tag(account_id)}:account:{account_id}"))

    async def claim(self, account_id: uuid.UUID, name: str, seconds: int) -> bool:
        """Whether nobody has claimed this for the account yet; it is taken now, for so long."""
        key = f"{_tag(account_id)}:claim:{account_id}:{name}"
        return bool(await self._ask(partial(self._redis.set, key, 1, nx=True, ex=seconds)))

    async def held(self) -> list[HeldBooking]:
        """Every booking in the store.  Walks all accounts."""
        held: list[HeldBooking] = []
        cursor = 0
        while True:
            cursor, keys = await self._ask(
                partial(self._redis.scan, cursor, match=_ACCOUNT_KEYS, count=_SCAN_KEYS)
            )
            pipeline = self._redis.pipeline(transaction=False)
            for key in keys:
                pipeline.hgetall(key)
            for key, fields in zip(keys, await self._ask(pipeline.execute), strict=True):
                account_id = uuid.UUID(key.decode().rpartition(":")[2])
                held += [
                    _held(account_id, name, booking)
                    for name, booking in fields.items()
                    if name.startswith(b"r:")
                ]
            if cursor == 0:
                return held

    async def _warm(
        self, account_id: uuid.UUID, operation: str, arguments: tuple[str | int, ...]
    ) -> tuple[str, Counters, int]:
        """Runs an operation, seeding the account first when the store does not know it."""
        while True:
            verdict, counters, extra = await self._run(account_id, operation, arguments)
            if verdict != "cold":
                return verdict, counters, extra
            young = self.commit_bound - extra / 1000
            if young > 0:
                await asyncio.sleep(young)
            await self._seed(account_id, counters.at_ms, epoch=counters.at_ms - extra)

    async def _seed(self, account_id: uuid.UUID, at_ms: int, *, epoch: int) -> None:
        held = await self._ledger.sum_account(account_id, at_ms)
        bookings: list[str | int] = []
        for one in held.running:
            bookings += [
                str(one.request_id),
                f"{one.hour} {one.day} {one.tokens} {one.process_id} {one.deadline_ms}",
            ]
        await self._run(
            account_id,
            "seed",
            (
                epoch,
                held.hour,
                held.hour_requests,
                held.day,
                held.day_requests,
                held.day_tokens,
                *bookings,
            ),
        )

    async def _run(
        self, account_id: uuid.UUID, operation: str, arguments: tuple[str | int, ...]
    ) -> tuple[str, Counters, int]:
        tag = _tag(account_id)
        keys = [f"{tag}:account:{account_id}", f"{tag}:epoch"]
        script = partial(self._script, keys=keys, args=[operation, self.clock_ms, *arguments])
        answer = await self._ask(script)
        verdict, at_ms, hour_requests, day_requests, day_tokens, in_flight, extra = answer
        counters = Counters(at_ms, hour_requests, day_requests, day_tokens, in_flight)
        return verdict.decode(), counters, extra

    async def _ask(self, question: Callable[[], Any]) -> Any:
        """The store's answer to a command; QuotaUnavailable."""
        async with self._slots:
            if self._knocking is not None:  # one has waited for an answer; nobody else needs to
                raise QuotaUnavailable("the counter store does not answer")
            try:
                async with asyncio.timeout(_ANSWER_SECONDS):
                    return await question()
            except TimeoutError as error:
                if self._knocking is None:
                    self._knocking = asyncio.create_task(self._knock(), name="quota-knock")
                raise QuotaUnavailable("the counter store does not answer") from error
            except (RedisError, OSError) as error:
                raise QuotaUnavailable(str(error)) from error

    async def _knock(self) -> None:
        """Tries until the store answers.  What it was asked in vain before, it has done by then."""
        while True:
            with contextlib.suppress(RedisError, OSError):  # and TimeoutError, which is one
                async with asyncio.timeout(_ANSWER_SECONDS):
                    await self._redis.ping()
                self._knocking = None
                return
            await asyncio.sleep(_KNOCK_SECONDS)


def _tag(account_id: uuid.UUID) -> str:
    """What an account's keys begin with: those of a partition are in the same slot of a cluster."""
    return f"scalix:{{p{zlib.crc32(account_id.bytes) % PARTITIONS:03}}}"


def _held(account_id: uuid.UUID, name: bytes, booking: bytes) -> HeldBooking:
    _, _, _, process_id, deadline_ms = booking.decode().split(" ")
    request_id = uuid.UUID(name.decode().removeprefix("r:"))
    return HeldBooking(account_id, request_id, uuid.UUID(process_id), int(deadline_ms))


def _or_none(value: int | None) -> int:
    return _NO_LIMIT if value is None else value
