"""The counters of one account in the counter store, by `quota.lua`."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from billing.metering.cluster_slots import partition_tag
from billing.metering.redis_store import ACCOUNT, NONE, Call, Clock
from billing.metering.sums import LedgerReader
from billing.metering.usage import Counters


@dataclass(frozen=True, slots=True)
class AccountAnswer:
    """What an operation said: its verdict, the counters after it, and a figure of its own."""

    verdict: str
    counters: Counters
    extra: int

    @property
    def is_cold(self) -> bool:
        """Whether nothing is known of the account; `extra` is then the epoch's age in ms."""
        return self.verdict == "cold"


@dataclass(frozen=True, slots=True)
class HeldBooking:
    """A running request's booking as the store has it."""

    account_id: uuid.UUID
    request_id: uuid.UUID
    process_id: uuid.UUID
    deadline_ms: int
    address: str | None


@dataclass(frozen=True, slots=True)
class AccountCounters:
    """Asks about accounts in one generation of the store."""

    ledger: LedgerReader
    clock: Clock

    def call(self, generation: int, account_id: uuid.UUID, *operation: str | int) -> Call:
        """The call of an operation: its name, then its arguments."""
        tag = account_tag(generation, account_id)
        keys = (f"{tag}:account:{account_id}", f"{tag}:epoch")
        name, *arguments = operation
        return Call(ACCOUNT, keys, (name, self.clock.ms, *arguments))

    async def seeding(self, generation: int, account_id: uuid.UUID, at_ms: int, epoch: int) -> Call:
        """The call that makes a cold account known, from the ledger.  PostgresUnavailable."""
        held = await self.ledger.sum_account(account_id, at_ms)
        arguments: list[str | int] = [
            epoch,
            held.hour,
            held.hour_requests,
            held.day,
            held.day_requests,
            held.day_tokens,
            len(held.sessions),
        ]
        for session, requests in held.sessions:
            arguments += [session, requests]
        for one in held.running:
            windows = f"{one.hour} {one.day} {one.tokens}"
            origin = f"{one.session or NONE} {one.address or NONE}"
            holder = f"{one.process_id} {one.deadline_ms}"
            arguments += [str(one.request_id), f"{windows} {holder} {origin}"]
        return self.call(generation, account_id, "seed", *arguments)


def read_account(answer: list[Any]) -> AccountAnswer:
    """The script's answer in our terms."""
    verdict, at_ms, hour_requests, day_requests, day_tokens, running, session, extra = answer
    counters = Counters(at_ms, hour_requests, day_requests, day_tokens, running, session)
    return AccountAnswer(verdict.decode(), counters, extra)


@lru_cache(10_000)  # twice in a request
def account_tag(generation: int, account_id: uuid.UUID) -> str:
    """What an account's keys begin with: those of a partition are in the same slot of a cluster."""
    return f"{partition_tag('p', account_id.bytes)}:{generation}"


def bookings_in(key: bytes, fields: dict[bytes, bytes]) -> Iterable[HeldBooking]:
    """The running requests in an account's hash."""
    account_id = uuid.UUID(key.decode().rpartition(":")[2])
    for name, booking in fields.items():
        if name.startswith(b"r:"):
            _, _, _, process_id, deadline_ms, _, address = booking.decode().split(" ")
            yield HeldBooking(
                account_id,
                uuid.UUID(name.decode().removeprefix("r:")),
                uuid.UUID(process_id),
                int(deadline_ms),
                None if address == NONE else address,
            )
