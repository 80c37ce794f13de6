"""The counters of one network address in the counter store, by `address.lua`."""

from dataclasses import dataclass
from typing import Any

from billing.metering.cluster_slots import partition_tag
from billing.metering.redis_store import ADDRESS, Call, Clock
from billing.metering.sums import LedgerReader
from billing.metering.usage import AddressUse


@dataclass(frozen=True, slots=True)
class AddressAnswer:
    """What an operation said: its verdict, the counters after it, and a figure of its own."""

    verdict: str
    use: AddressUse
    extra: int

    @property
    def is_cold(self) -> bool:
        """Whether nothing is known of the address; `extra` is then the epoch's age in ms."""
        return self.verdict == "cold"


@dataclass(frozen=True, slots=True)
class AddressCounters:
    """Asks about addresses in one generation of the store."""

    ledger: LedgerReader
    clock: Clock

    def call(self, generation: int, address: str, *operation: str | int) -> Call:
        """The call of an operation: its name, then its arguments."""
        tag = f"{partition_tag('a', address.encode())}:{generation}"
        keys = (f"{tag}:address:{address}", f"{tag}:epoch")
        name, *arguments = operation
        return Call(ADDRESS, keys, (name, self.clock.ms, *arguments))

    async def seeding(self, generation: int, address: str, at_ms: int, epoch: int) -> Call:
        """The call that makes a cold address known, from the ledger.  PostgresUnavailable."""
        requests = await self.ledger.list_address(address, at_ms)
        arguments: list[str | int] = [epoch, at_ms // 3_600_000, at_ms // 60_000]
        for one in requests:
            arguments += [str(one.request_id), one.minute, str(one.account_id)]
        return self.call(generation, address, "seed", *arguments)


def read_address(answer: list[Any]) -> AddressAnswer:
    """The script's answer in our terms."""
    verdict, at_ms, minute_requests, hour_requests, hour_accounts, of_account, extra = answer
    use = AddressUse(at_ms, minute_requests, hour_requests, hour_accounts, of_account > 0)
    return AddressAnswer(verdict.decode(), use, extra)
