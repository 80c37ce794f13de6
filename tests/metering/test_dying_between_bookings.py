"""A process that dies while it books leaves nothing that nobody would give back.

A request is booked with its account and with its address, one after the other.  The account's
booking names the process; the address's does not.
"""

import asyncio
import uuid

import pytest

from accounts.identifiers import uuid7
from billing.metering.quota import Quota, QuotaRefused
from billing.metering.sums import AddressRequest, LedgerSum
from tests.metering.conftest import NewQuota, NothingSpent, a_request, limits

ADDRESS = "192.0.2.7"
LIMITED = limits(address_requests_per_hour=10)


class HeldUp(NothingSpent):
    """A ledger that never says what it has of an account or of an address."""

    def __init__(self, *, of_address: bool) -> None:
        self.of_address = of_address
        self.asked = asyncio.Event()

    async def sum_account(self, account_id: uuid.UUID, at_ms: int) -> LedgerSum:
        if not self.of_address:
            self.asked.set()
            await asyncio.Event().wait()
        return await super().sum_account(account_id, at_ms)

    async def list_address(self, address: str, at_ms: int) -> tuple[AddressRequest, ...]:
        if self.of_address:
            self.asked.set()
            await asyncio.Event().wait()
        return ()


async def die_while_booking(new_quota: NewQuota, *, asking_of_address: bool) -> None:
    """A process books, and is gone as it asks the ledger: none of its code runs after that."""
    ledger = HeldUp(of_address=asking_of_address)
    dying = new_quota(ledger)
    request = a_request(uuid7(), LIMITED, address=ADDRESS)
    booking = asyncio.create_task(dying.reserve(request))
    await ledger.asked.wait()
    booking.cancel()
    await asyncio.wait([booking])


async def used_of_address(quota: Quota) -> int:
    usage = await quota.peek(uuid7(), LIMITED, address=ADDRESS)
    assert usage.address is not None
    return usage.address.hour_requests


async def test_dead_before_its_account_is_known_it_has_booked_nothing_with_its_address(
    new_quota: NewQuota,
) -> None:
    living = new_quota()
    await living.reserve(a_request(uuid7(), LIMITED, address=ADDRESS))

    await die_while_booking(new_quota, asking_of_address=False)

    assert await used_of_address(living) == 1


async def test_dead_before_its_address_is_known_its_account_names_both(new_quota: NewQuota) -> None:
    living = new_quota()
    await die_while_booking(new_quota, asking_of_address=True)

    [left] = await living.held()
    assert left.address == ADDRESS
    await living.settle(
        left.account_id, left.request_id, charged=False, tokens=0, address=left.address
    )
    assert await living.held() == []
    assert await used_of_address(living) == 0


async def test_what_the_account_refuses_is_not_booked_with_the_address(
    new_quota: NewQuota,
) -> None:
    quota, account_id = new_quota(), uuid7()
    given = limits(requests_per_hour=1, address_requests_per_hour=10)
    await quota.reserve(a_request(account_id, given, address=ADDRESS))
    with pytest.raises(QuotaRefused) as refused:
        await quota.reserve(a_request(account_id, given, address=ADDRESS))
    assert refused.value.limit.name == "requests_per_hour"
    assert refused.value.usage.address is not None  # told all the same
    assert refused.value.usage.address.hour_requests == 1
    assert await used_of_address(quota) == 1
