"""The request path's look-ups: pooled, bounded, and working again as soon as Postgres is."""

import asyncio
import uuid

import psycopg
import pytest

from accounts.postgres import Connection, NoAnswer, ReadPool, connect, hung_up_after
from tests.waiting import until

NAP = "SELECT pg_sleep(60)"


async def test_rows_come_as_tuples(reads: ReadPool) -> None:
    given = uuid.uuid4()
    assert await reads.fetch("SELECT %s::uuid, 2 UNION ALL SELECT %s, 3", (given, given)) == [
        (given, 2),
        (given, 3),
    ]


async def test_parameters_may_have_names(reads: ReadPool) -> None:
    assert await reads.fetch("SELECT %(a)s::int + %(a)s", {"a": 21}) == [(42,)]


async def test_a_statement_without_rows_gives_none_and_is_committed(reads: ReadPool) -> None:
    assert await reads.fetch("UPDATE billing_plan SET concurrent_requests = 3") == []
    other = ReadPool()
    assert await other.fetch("SELECT DISTINCT concurrent_requests FROM billing_plan") == [(3,)]
    await other.close()


async def test_a_burst_waits_its_turn_on_a_few_connections(reads: ReadPool) -> None:
    rows = await asyncio.gather(
        *(reads.fetch("SELECT pg_backend_pid(), %s::int", (n,)) for n in range(300))
    )
    assert [one[0][1] for one in rows] == list(range(300))
    assert len({one[0][0] for one in rows}) <= 4


async def test_connections_that_died_idle_are_replaced_unseen(reads: ReadPool) -> None:
    await asyncio.gather(*(reads.fetch("SELECT 1") for _ in range(4)))
    async with await connect(5) as other:
        await other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND datname = current_database()"
        )
    assert await asyncio.gather(*(reads.fetch("SELECT 1") for _ in range(4))) == [[(1,)]] * 4


async def test_a_mistake_in_a_statement_is_no_outage(reads: ReadPool) -> None:
    with pytest.raises(psycopg.errors.UndefinedTable):
        await reads.fetch("SELECT * FROM nothing")
    assert await reads.fetch("SELECT 1") == [(1,)]


async def test_a_cancelled_look_up_gives_its_connection_back(reads: ReadPool) -> None:
    async with await connect(5) as other:
        for _ in range(6):
            napping = asyncio.create_task(reads.fetch(NAP))
            await until(lambda: is_running(other, NAP))
            napping.cancel()
            await asyncio.gather(napping, return_exceptions=True)
    assert await reads.fetch("SELECT 1") == [(1,)]


async def is_running(connection: Connection, query: str) -> bool:
    """Whether another connection is at this statement."""
    cursor = await connection.execute(
        "SELECT 1 FROM pg_stat_activity WHERE query = %s AND state = 'active'", (query,)
    )
    return bool(await cursor.fetchall())


async def test_whatever_takes_too_long_is_hung_up_on(reads: ReadPool) -> None:
    connection = await connect(5)
    with pytest.raises(NoAnswer), hung_up_after(connection, 0.05):
        await connection.execute(NAP)
    assert connection.closed


async def test_what_is_done_in_time_is_not(reads: ReadPool) -> None:
    async with await connect(5) as connection:
        with hung_up_after(connection, 60):
            await connection.execute("SELECT 1")
        await connection.execute("SELECT 1")


async def test_an_error_of_the_statement_is_not_taken_for_a_hang_up(reads: ReadPool) -> None:
    async with await connect(5) as connection:
        await connection.execute("SET statement_timeout = 20")
        with pytest.raises(psycopg.errors.QueryCanceled), hung_up_after(connection, 60):
            await connection.execute(NAP)


async def test_a_closed_pool_holds_no_connection(reads: ReadPool) -> None:
    pool = ReadPool()
    ((pid,),) = await pool.fetch("SELECT pg_backend_pid()")
    await pool.close()

    async def gone() -> bool:
        return not await reads.fetch("SELECT 1 FROM pg_stat_activity WHERE pid = %s", (pid,))

    await until(gone)
