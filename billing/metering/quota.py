"""Admission: books a request against the limits of its account and its address, all or nothing.

Redis is a cache of the ledger.  An account or an address that it knows nothing of is *cold*, never
zero: the ledger is summed and the counters seeded.  What makes that exact while requests run:

* A booking is made in Redis first and committed to the ledger right after.  A store that lost its
  memory in between is recognised by its young epoch; what is cold in it is summed only once every
  booking from before must have been committed (`commit_bound`), and a booking whose commit took
  longer than that is booked again (`QuotaBooking.may_be_forgotten`).  A sum is taken for the epoch
  that it was asked in and no other.
* An ending is committed to the ledger first and told to Redis right after.  If the counters are
  cold then, the script leaves a tombstone that the seeding takes into account.

Account and address are two scripts, since they may be in two parts of a cluster.  The account's
booking, which names process and address, is made first and ended last: whoever dies in between is
swept up after.  Where the address refuses, it is given back before anybody is answered; where a
minute ends in between, both are, and are booked again.
"""

import asyncio
import time
import uuid
from functools import partial
from typing import Final

from billing.metering.account_counters import (
    AccountAnswer,
    AccountCounters,
    HeldBooking,
    account_tag,
    bookings_in,
    read_account,
)
from billing.metering.address_counters import AddressAnswer, AddressCounters, read_address
from billing.metering.decision import ADMITTED, decide_by_address, longest_wait
from billing.metering.fence import Generation
from billing.metering.redis_store import (
    NO_LIMIT,
    NONE,
    Clock,
    NotAsked,
    QuotaUnavailable,
    RedisStore,
)
from billing.metering.requests import QuotaBooking, QuotaRefused, QuotaRequest
from billing.metering.rows import NOBODY
from billing.metering.sums import LedgerReader
from billing.metering.usage import AddressUse, Counters, Usage
from billing.plans import Limits

__all__ = [
    "HeldBooking",
    "Quota",
    "QuotaBooking",
    "QuotaRefused",
    "QuotaRequest",
    "QuotaUnavailable",
]

COMMIT_BOUND_SECONDS: Final = 0.3
_SCAN_KEYS: Final = 1000
_MINUTE_MS: Final = 60_000


class Quota:
    """The counters of every account.  One per process, for any number of tasks in one loop."""

    def __init__(
        self,
        store: RedisStore,
        *,
        process_id: uuid.UUID,
        ledger: LedgerReader,
        generation: Generation | None = None,
        commit_bound: float = COMMIT_BOUND_SECONDS,
        clock: Clock | None = None,
    ) -> None:
        self._store = store
        self._process_id = process_id
        self._generation = generation or Generation()
        self._accounts = AccountCounters(ledger, clock or Clock())
        self._addresses = AddressCounters(ledger, clock or Clock())
        self.commit_bound = commit_bound

    async def ping(self) -> None:
        """Raises QuotaUnavailable unless the store answers."""
        await self._store.ping()

    async def reserve(self, request: QuotaRequest) -> QuotaBooking:
        """Books the request, or raises QuotaRefused with nothing booked.  Safe to repeat."""
        asked_at, generation = time.monotonic(), self._generation.number
        while (said := await self._book(generation, request)) is None:
            continue  # a minute ended between the two bookings
        account, use, verdicts = said
        usage = Usage(request.limits, account.counters, use)
        if refusing := [usage.state(one) for one in verdicts if one != ADMITTED]:
            raise QuotaRefused(usage, longest_wait(refusing), request.tokens_needed)
        output = None if account.extra == NO_LIMIT else account.extra
        return QuotaBooking(usage, output, asked_at, generation)

    async def _book(
        self, generation: int, request: QuotaRequest
    ) -> tuple[AccountAnswer, AddressUse | None, tuple[str, ...]] | None:
        """What account and address said, and the verdicts that count; either refusing, nothing is
        booked.

        None, and nothing is booked, where the address was asked in a later minute: the row has one
        moment, and both have to count it in the windows of that.
        """
        account_id, address = request.account_id, request.counted_address
        account = await self._ask_account(
            generation, account_id, "reserve", *self._account_arguments(request)
        )
        if address is None:
            return account, None, (account.verdict,)
        if account.verdict != ADMITTED:  # the address may refuse for longer
            use = (await self._ask_address(generation, address, "peek", str(account_id))).use
            return account, use, (account.verdict, decide_by_address(request.limits, use).verdict)
        try:
            found = await self._ask_address(
                generation, address, "reserve", *_address_arguments(request)
            )
        except NotAsked as error:  # but the account was, and has booked it
            raise QuotaUnavailable(str(error)) from error
        together = found.use.at_ms // _MINUTE_MS == account.counters.at_ms // _MINUTE_MS
        if found.verdict != ADMITTED or not together:
            await self.settle(
                account_id,
                request.request_id,
                charged=False,
                tokens=0,
                address=address,
                generation=generation,
            )
        return (account, found.use, (found.verdict,)) if together else None

    async def settle(
        self,
        account_id: uuid.UUID,
        request_id: uuid.UUID,
        *,
        charged: bool,
        tokens: int,
        address: str | None = None,
        generation: int | None = None,
    ) -> Counters | None:
        """Replaces the booking by what it came to, once; None if the account has gone cold.

        Not charged, it leaves every counter as it was before, those of `address` too.
        """
        number = generation or self._generation.number
        ending = ("settle", str(request_id), int(charged), tokens)
        calls = [self._accounts.call(number, account_id, *ending)]
        if address is not None and not charged:
            # First: as long as the account's booking stands, the address's is known to be owed.
            calls.insert(0, self._addresses.call(number, address, "release", str(request_id)))
        answer = read_account((await self._store.run(*calls))[-1])
        return None if answer.is_cold else answer.counters

    async def peek(
        self,
        account_id: uuid.UUID | None,
        limits: Limits,
        *,
        address: str | None = None,
        session: str = "",
    ) -> Usage:
        """The account's usage now, and its address's where it is limited.  Books nothing.

        No account: one that has never asked for anything.
        """
        account_id = account_id or NOBODY
        generation = self._generation
        if not generation.in_redis:
            now_ms = int(time.time() * 1000)
            held = await self._accounts.ledger.sum_account(account_id, now_ms)
            return Usage(limits, held.counters(now_ms, session))
        number, use = generation.number, None
        account = await self._ask_account(number, account_id, "peek", session or NONE)
        if address is not None and limits.by_address:
            use = (await self._ask_address(number, address, "peek", str(account_id))).use
        return Usage(limits, account.counters, use)

    async def forget(self, account_id: uuid.UUID, *, generation: int | None = None) -> None:
        """Has the account summed anew: its ledger was changed beside the counters."""
        number = generation or self._generation.number
        await self._store.run(self._accounts.call(number, account_id, "forget"))

    async def claim(self, account_id: uuid.UUID, name: str, seconds: int) -> bool:
        """Whether nobody has claimed this for the account yet; it is taken now, for so long."""
        key = f"{account_tag(0, account_id)}:claim:{account_id}:{name}"
        taken = partial(self._store.redis.set, key, 1, nx=True, ex=seconds)
        return bool(await self._store.ask(taken))

    async def held(self) -> list[HeldBooking]:
        """Every booking in the store.  Walks all accounts."""
        held: list[HeldBooking] = []
        redis, cursor = self._store.redis, 0
        pattern = f"scalix:*:{self._generation.number}:account:*"
        while True:
            cursor, keys = await self._store.ask(
                partial(redis.scan, cursor, match=pattern, count=_SCAN_KEYS)
            )
            pipeline = redis.pipeline(transaction=False)
            for key in keys:
                pipeline.hgetall(key)
            for key, found in zip(keys, await self._store.ask(pipeline.execute), strict=True):
                held += bookings_in(key, found)
            if cursor == 0:
                return held

    async def _ask_account(
        self, generation: int, account_id: uuid.UUID, *operation: str | int
    ) -> AccountAnswer:
        """Runs an operation, after seeding what the store does not know."""
        call = self._accounts.call(generation, account_id, *operation)
        while True:
            answer = read_account((await self._store.run(call))[0])
            if not answer.is_cold:
                return answer
            await self._until_committed(answer.extra)
            at_ms = answer.counters.at_ms
            await self._store.run(
                await self._accounts.seeding(generation, account_id, at_ms, at_ms - answer.extra)
            )

    async def _ask_address(
        self, generation: int, address: str, *operation: str | int
    ) -> AddressAnswer:
        """The same of an address."""
        call = self._addresses.call(generation, address, *operation)
        while True:
            answer = read_address((await self._store.run(call))[0])
            if not answer.is_cold:
                return answer
            await self._until_committed(answer.extra)
            at_ms = answer.use.at_ms
            await self._store.run(
                await self._addresses.seeding(generation, address, at_ms, at_ms - answer.extra)
            )

    async def _until_committed(self, epoch_ms: int) -> None:
        """Returns when what was booked before an epoch of that age must be in the ledger."""
        if (young := self.commit_bound - epoch_ms / 1000) > 0:
            await asyncio.sleep(young)

    def _account_arguments(self, request: QuotaRequest) -> tuple[str | int, ...]:
        limits = request.limits
        return (
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
            _or_none(limits.requests_per_session),
            request.session or NONE,
            request.counted_address or NONE,
        )


def _address_arguments(request: QuotaRequest) -> tuple[str | int, ...]:
    limits = request.limits
    return (
        str(request.request_id),
        str(request.account_id),
        _or_none(limits.address_requests_per_minute),
        _or_none(limits.address_requests_per_hour),
        _or_none(limits.address_accounts_per_hour),
    )


def _or_none(value: int | None) -> int:
    return NO_LIMIT if value is None else value
