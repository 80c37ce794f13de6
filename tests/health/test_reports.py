"""What is open in one process is told to all, for as long as that process lives."""

import datetime as dt
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.utils import timezone

from accounts.identifiers import uuid7
from accounts.postgres import ReadPool
from gateway.health.circuits import FEWEST_FAILURES, Circuits, Line
from gateway.health.reports import CircuitReports, drop_the_dead
from gateway.models import HealthEvent, OpenCircuit
from tests.clock import Clock

Kind = HealthEvent.Kind


class CountingPool(ReadPool):
    """The real one, and how often it was asked."""

    asked = 0

    async def fetch(self, query: str, parameters: Any = ()) -> list[tuple[Any, ...]]:
        self.asked += 1
        return await super().fetch(query, parameters)


@pytest.fixture
def circuits() -> Circuits:
    return Circuits(Clock())


@pytest.fixture
async def pool(transactional_db: None) -> Any:
    pool = CountingPool(size=1)
    yield pool
    await pool.close()


@pytest.fixture
def reports(circuits: Circuits, pool: CountingPool) -> CircuitReports:
    return CircuitReports(circuits, pool, uuid7())


def open_one(circuits: Circuits, name: str = "one") -> None:
    for _ in range(FEWEST_FAILURES):
        circuits.saw(name, "provider_500")
    assert circuits.is_open(name)


@sync_to_async
def told() -> list[str]:
    return sorted(OpenCircuit.objects.values_list("deployment", flat=True))


@sync_to_async
def events() -> list[tuple[str, str]]:
    return list(HealthEvent.objects.order_by("id").values_list("deployment", "kind"))


async def test_while_nothing_is_open_nobody_is_asked_anything(
    reports: CircuitReports, pool: CountingPool
) -> None:
    for _ in range(20):
        await reports.write()
    assert pool.asked == 0


async def test_an_open_circuit_is_told_and_so_is_its_end(
    circuits: Circuits, reports: CircuitReports
) -> None:
    open_one(circuits)
    open_one(circuits, "two")
    await reports.write()
    assert await told() == ["one", "two"]

    circuits.probed(Line("one"), succeeded=True)
    await reports.write()
    assert await told() == ["two"]
    opened = [("one", Kind.CIRCUIT_OPENED), ("two", Kind.CIRCUIT_OPENED)]
    assert sorted((await events())[:2]) == opened
    assert (await events())[2:] == [("one", Kind.CIRCUIT_CLOSED)]


async def test_one_that_stays_open_is_told_again_and_is_one_event(
    circuits: Circuits, reports: CircuitReports, pool: CountingPool
) -> None:
    open_one(circuits)
    await reports.write()
    await OpenCircuit.objects.aupdate(heard_at=timezone.now() - dt.timedelta(seconds=50))
    for _ in range(10):
        await reports.write()
    assert 1 < pool.asked < 5
    (row,) = [one async for one in OpenCircuit.objects.all()]
    assert timezone.now() - row.heard_at < dt.timedelta(seconds=10)
    assert await events() == [("one", Kind.CIRCUIT_OPENED)]


async def test_each_process_has_its_own(circuits: Circuits, pool: CountingPool) -> None:
    open_one(circuits)
    first, second = (CircuitReports(circuits, pool, uuid7()) for _ in range(2))
    await first.write()
    await second.write()
    assert await told() == ["one", "one"]
    await first.close()
    assert await told() == ["one"]


async def test_a_process_that_ends_takes_back_what_it_told(
    circuits: Circuits, reports: CircuitReports
) -> None:
    open_one(circuits)
    await reports.write()
    await reports.close()
    assert await told() == []
    assert (await events())[-1] == ("one", Kind.CIRCUIT_CLOSED)


async def test_what_a_killed_process_told_is_deleted_and_what_a_living_one_tells_is_not(
    circuits: Circuits, pool: CountingPool
) -> None:
    open_one(circuits)
    killed, living = (CircuitReports(circuits, pool, uuid7()) for _ in range(2))
    await killed.write()
    await OpenCircuit.objects.aupdate(heard_at=timezone.now() - dt.timedelta(minutes=2))
    await living.write()
    await sync_to_async(drop_the_dead)()
    assert await told() == ["one"]
    assert (await events())[-1] == ("one", Kind.CIRCUIT_CLOSED)
