"""The request path's own way to Postgres: asynchronous, pooled, and quick to say that it is away.

Django's ORM would run in a thread, which a Postgres that hangs can hold for ever; here every wait
can be cancelled.  Pages, admin and tasks use the ORM.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from django.db import connections
from psycopg.conninfo import make_conninfo
from psycopg_pool import AsyncConnectionPool, PoolTimeout

_ACQUIRE_SECONDS = 0.08  # with an answer due within 100 ms
_QUERY_SECONDS = 2.0


class PostgresUnavailable(Exception):
    """Postgres could not be reached or did not answer in time."""


def conninfo() -> str:
    """Libpq's connection string of Django's default database (the test database, in tests)."""
    parameters = connections["default"].get_connection_params()
    known = psycopg.pq.Conninfo.get_defaults()
    names = {option.keyword.decode() for option in known}
    return make_conninfo("", **{k: v for k, v in parameters.items() if k in names})


class ReadPool:
    """A few connections for look-ups, each query bounded in time.

    `acquire_seconds` is how long a query waits for a connection: a short while in a server, whose
    pool is filled, longer in what opens a pool for one question.
    """

    def __init__(self, size: int = 4, *, acquire_seconds: float = _ACQUIRE_SECONDS) -> None:
        self._pool = AsyncConnectionPool(
            conninfo(),
            min_size=1,
            max_size=size,
            timeout=acquire_seconds,
            reconnect_timeout=2.0,
            kwargs={"autocommit": True, "prepare_threshold": 1},
            open=False,
        )
        self._checking: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Starts connecting, in the background."""
        await self._pool.open(wait=False)

    async def close(self) -> None:
        """Closes every connection."""
        await self._pool.close()

    async def fetch(
        self, query: str, parameters: Sequence[Any] | Mapping[str, Any] = ()
    ) -> list[tuple[Any, ...]]:
        """All rows of one statement; PostgresUnavailable when they can't be had in time."""
        try:
            async with asyncio.timeout(_QUERY_SECONDS), self._pool.connection() as connection:
                cursor = await connection.execute(query, parameters)
                return await cursor.fetchall() if cursor.description else []
        except (
            psycopg.OperationalError,
            psycopg.InterfaceError,
            PoolTimeout,
            TimeoutError,
        ) as error:
            # A pool that lost its server retries ever more slowly; asking it to check now brings
            # service back as soon as the server is.
            self._check_soon()
            raise PostgresUnavailable(str(error) or type(error).__name__) from error

    def _check_soon(self) -> None:
        if self._checking is None or self._checking.done():
            self._checking = asyncio.create_task(self._pool.check())
