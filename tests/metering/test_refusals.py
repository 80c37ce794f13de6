"""Refusals are written in batches, and of one who hammers some rows stand for all."""

from typing import Any

import pytest

from accounts.identifiers import uuid7
from accounts.postgres import PostgresUnavailable, ReadPool
from billing.metering.refusals import Refusals, Refused


def refused(address: str | None = "192.0.2.7", **fields: Any) -> Refused:
    return Refused(**{"id": uuid7(), "code": "insufficient_quota", "message": "No.", **fields}
                   | {"address": address})  # fmt: skip


async def rows(pool: ReadPool) -> list[tuple[Any, ...]]:
    return await pool.fetch("SELECT id, code, stands_for FROM billing_refusal ORDER BY id")


async def test_each_of_a_few_has_its_row_with_the_requests_own_id(reads: ReadPool) -> None:
    refusals = Refusals()
    several = [refused(code=code) for code in ("model_not_in_plan", "insufficient_quota")]
    for one in several:
        refusals.note(one)
    await refusals.write(reads)
    assert sorted(await rows(reads)) == sorted((one.id, one.code, 1) for one in several)
    await refusals.write(reads)
    assert len(await rows(reads)) == 2


async def test_of_thousands_some_rows_stand_for_all(reads: ReadPool) -> None:
    refusals = Refusals(clock=lambda: 0.0)
    for _batch in range(5):
        for _ in range(1_000):
            refusals.note(refused())
        await refusals.write(reads)
    kept = await rows(reads)
    assert sum(row[2] for row in kept) == 5_000
    assert len(kept) <= 20 + 5


async def test_whoever_drops_their_credential_is_sampled_by_address(reads: ReadPool) -> None:
    refusals = Refusals(clock=lambda: 0.0)
    for _ in range(500):
        refusals.note(refused(account_id=uuid7()))
    refusals.note(refused("192.0.2.8"))
    await refusals.write(reads)
    kept = await rows(reads)
    assert (len(kept), sum(row[2] for row in kept)) == (22, 501)


async def test_a_minute_later_each_has_a_row_again(reads: ReadPool) -> None:
    now = 0.0
    refusals = Refusals(clock=lambda: now)
    for _ in range(30):
        refusals.note(refused())
    now = 60.0
    refusals.note(refused())
    await refusals.write(reads)
    assert [row[2] for row in await rows(reads)].count(1) == 21


async def test_attackers_by_the_thousand_fill_no_memory(reads: ReadPool) -> None:
    refusals = Refusals(clock=lambda: 0.0)
    for number in range(10_000):
        refusals.note(refused(f"2001:db8:{number:x}::"))
    await refusals.write(reads)
    kept = await rows(reads)
    assert len(kept) < 2_100
    assert sum(row[2] for row in kept) == 10_000


class Away:
    """A Postgres that is not there."""

    async def fetch(self, *_: object) -> list[tuple[Any, ...]]:
        raise PostgresUnavailable("away")


async def test_what_cannot_be_written_is_kept_and_counted_once(reads: ReadPool) -> None:
    refusals = Refusals(clock=lambda: 0.0)
    for _ in range(2):
        for _ in range(50):
            refusals.note(refused())
        with pytest.raises(PostgresUnavailable):
            await refusals.write(Away())  # type: ignore[arg-type]
    refusals.note(refused())
    await refusals.write(reads)
    kept = await rows(reads)
    assert (len(kept), sum(row[2] for row in kept)) == (21, 101)


async def test_what_no_column_can_hold_is_cut(reads: ReadPool) -> None:
    refusals = Refusals()
    refusals.note(refused(message="m" * 5_000, model="\0" + "x" * 5_000))
    await refusals.write(reads)
    ((message, model),) = await reads.fetch("SELECT message, model FROM billing_refusal")
    assert (len(message), len(model)) == (300, 100)
