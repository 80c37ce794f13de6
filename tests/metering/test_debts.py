"""What the counters could not be told at once, they are told later."""

import asyncio
import uuid

import pytest

from billing.metering.debts import QuotaDebts
from billing.metering.quota import QuotaUnavailable


class Counters:
    """Has a Quota's shape; refuses the first so many settlements."""

    def __init__(self, refusals: int) -> None:
        self.refusals = refusals
        self.told: list[tuple[uuid.UUID, bool, int]] = []
        self.forgot: list[tuple[uuid.UUID, int]] = []

    async def forget(self, account_id: uuid.UUID, *, generation: int) -> None:
        if self.refusals:
            self.refusals -= 1
            raise QuotaUnavailable
        self.forgot.append((account_id, generation))

    async def settle(
        self,
        account_id: uuid.UUID,
        request_id: uuid.UUID,
        *,
        charged: bool,
        tokens: int,
        address: str | None,
        generation: int,
    ) -> None:
        if self.refusals:
            self.refusals -= 1
            raise QuotaUnavailable
        self.told.append((request_id, charged, tokens))


async def test_a_settlement_is_repeated_until_it_is_taken() -> None:
    counters = Counters(refusals=2)
    debts = QuotaDebts(counters)  # type: ignore[arg-type]
    debts.start()
    one, other = uuid.uuid4(), uuid.uuid4()
    debts.owe(uuid.uuid4(), one, charged=True, tokens=15)
    debts.owe(uuid.uuid4(), other, charged=False, tokens=0)
    await debts.stop()
    assert counters.told == [(one, True, 15), (other, False, 0)]


async def test_an_account_to_be_summed_anew_is_forgotten_after_its_settlement() -> None:
    counters = Counters(refusals=0)
    debts = QuotaDebts(counters)  # type: ignore[arg-type]
    account, request = uuid.uuid4(), uuid.uuid4()
    debts.owe(uuid.uuid4(), uuid.uuid4(), charged=True, tokens=15)
    debts.owe(account, request, charged=False, tokens=0, generation=3, anew=True)
    debts.start()
    await debts.stop()
    assert counters.forgot == [(account, 3)]  # which this process may not have heard of yet
    assert counters.told[-1] == (request, False, 0)


async def test_debts_that_wait_are_paid_side_by_side() -> None:
    counters = Together(waits_for=20)
    debts = QuotaDebts(counters)  # type: ignore[arg-type]
    for _ in range(20):
        debts.owe(uuid.uuid4(), uuid.uuid4(), charged=False, tokens=0)
    debts.start()
    await debts.stop()
    assert counters.told == 20


class Together:
    """Settles nothing before so many have asked."""

    def __init__(self, waits_for: int) -> None:
        self.told = 0
        self._all = asyncio.Barrier(waits_for)

    async def settle(self, *_: object, **__: object) -> None:
        await self._all.wait()
        self.told += 1


async def test_stopping_gives_up_in_the_end_and_says_how_much_is_owed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    counters = Counters(refusals=1_000_000)
    debts = QuotaDebts(counters)  # type: ignore[arg-type]
    debts.start()
    for _ in range(3):
        debts.owe(uuid.uuid4(), uuid.uuid4(), charged=True, tokens=15)
    await asyncio.sleep(0)
    await debts.stop(patience=0.01)
    assert "3 settlements owed" in caplog.text


async def test_stopping_what_was_never_started_is_nothing() -> None:
    await QuotaDebts(Counters(0)).stop()  # type: ignore[arg-type]
