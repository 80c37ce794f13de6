"""The request path's own way to Postgres: asynchronous, pooled, and quick to say that it is away.

Django's ORM would run in a thread, which a Postgres that hangs can hold for ever; here every wait
is bounded.  Pages, admin and tasks use the ORM.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any, Final

import psycopg
from django.db import connections
from psycopg.conninfo import make_conninfo

Connection = psycopg.AsyncConnection[tuple[Any, ...]]

_QUERY_SECONDS: Final = 2.0
_KNOCK_SECONDS: Final = 0.1


class PostgresUnavailable(Exception):
    """Postgres could not be reached or did not answer in time."""


class NoAnswer(psycopg.OperationalError):
    """Postgres may be there, but it took too long."""


def conninfo() -> str:
    """The connection string, for libpq, of Django's default database (in tests, the test one)."""
    parameters = connections["default"].get_connection_params()
    known = psycopg.pq.Conninfo.get_defaults()
    names = {option.keyword.decode() for option in known}
    return make_conninfo("", **{k: v for k, v in parameters.items() if k in names})


async def connect(seconds: float) -> Connection:
    """A connection that commits each statement; psycopg.OperationalError, in `seconds` at most."""
    try:
        async with asyncio.timeout(seconds):
            return await psycopg.AsyncConnection.connect(
                conninfo(), autocommit=True, prepare_threshold=0
            )
    except TimeoutError as error:
        raise NoAnswer(f"no connection within {seconds:g} s") from error


@contextlib.contextmanager
def hung_up_after(connection: Connection, seconds: float) -> Iterator[None]:
    """Whatever runs inside ends with NoAnswer when it takes longer, and so does the connection.

    Not `asyncio.timeout`: psycopg answers a cancellation by asking the server to cancel, and waits
    up to ten seconds for one that hangs.  Here the socket is shut, which both sides notice.
    """
    hung_up = False

    def hang_up() -> None:
        nonlocal hung_up
        hung_up = True
        if not connection.closed:
            with socket.socket(fileno=os.dup(connection.fileno())) as same_socket:
                same_socket.shutdown(socket.SHUT_RDWR)

    timer = asyncio.get_running_loop().call_later(seconds, hang_up)
    try:
        yield
    except psycopg.OperationalError as error:
        if hung_up:
            raise NoAnswer(f"no answer within {seconds:g} s") from error
        raise
    finally:
        timer.cancel()


class ReadPool:
    """A few connections for look-ups, each bounded in time and made when it is first needed.

    Not psycopg_pool, which tries a lost server ever more rarely: here the first query after its
    return is answered.  Every statement may run twice, the second time on a new connection.
    """

    def __init__(self, size: int = 4) -> None:
        self._slots = asyncio.Semaphore(size)
        self._idle: list[Connection] = []
        self._knocking: asyncio.Task[None] | None = None  # as long as Postgres does not answer

    async def open(self) -> None:
        """Connects ahead of the first query; without Postgres it changes nothing."""
        with contextlib.suppress(PostgresUnavailable):
            await self.fetch("SELECT 1")

    async def close(self) -> None:
        """Closes every connection."""
        if self._knocking is not None:
            self._knocking.cancel()
        await self._drop_idle()

    async def fetch(
        self, query: str, parameters: Sequence[Any] | Mapping[str, Any] = ()
    ) -> list[tuple[Any, ...]]:
        """All rows of one statement; PostgresUnavailable when they can't be had in time."""
        async with self._slots:
            if self._knocking is not None:  # one query has waited for an answer; no other needs to
                raise PostgresUnavailable("Postgres does not answer")
            try:
                return await self._fetch(query, parameters)
            except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                raise PostgresUnavailable(str(error)) from error

    @contextlib.asynccontextmanager
    async def transaction(self, seconds: float = _QUERY_SECONDS) -> AsyncIterator[Connection]:
        """A transaction, of `seconds` at most; what is raised inside undoes it.

        PostgresUnavailable where it can't be had in time or its end is not known.
        """
        async with self._slots:
            if self._knocking is not None:
                raise PostgresUnavailable("Postgres does not answer")
            connection = None
            try:
                connection = await self._living_connection()
                with hung_up_after(connection, seconds):
                    async with connection.transaction():
                        yield connection
            except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                if isinstance(error, NoAnswer) and self._knocking is None:
                    self._knocking = asyncio.create_task(self._knock(), name="postgres-knock")
                raise PostgresUnavailable(str(error)) from error
            finally:
                if connection is not None and not connection.closed:
                    if connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE:
                        self._idle.append(connection)
                    else:  # it was cancelled in the midst of a statement
                        await connection.close()

    async def _living_connection(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            with contextlib.suppress(psycopg.OperationalError, psycopg.InterfaceError):
                with hung_up_after(connection, _QUERY_SECONDS):
                    await connection.execute("SELECT 1")
                return connection
            await connection.close()
        return await connect(_QUERY_SECONDS)

    async def _fetch(
        self, query: str, parameters: Sequence[Any] | Mapping[str, Any]
    ) -> list[tuple[Any, ...]]:
        try:
            if self._idle:
                try:
                    return await self._run(self._idle.pop(), query, parameters)
                except NoAnswer:
                    raise
                except (psycopg.OperationalError, psycopg.InterfaceError):
                    await self._drop_idle()  # it died idle, and then so did its fellows
            return await self._run(await connect(_QUERY_SECONDS), query, parameters)
        except NoAnswer:
            if self._knocking is None:
                self._knocking = asyncio.create_task(self._knock(), name="postgres-knock")
            raise

    async def _run(
        self, connection: Connection, query: str, parameters: Sequence[Any] | Mapping[str, Any]
    ) -> list[tuple[Any, ...]]:
        try:
            with hung_up_after(connection, _QUERY_SECONDS):
                cursor = await connection.execute(query, parameters)
                rows = await cursor.fetchall() if cursor.description else []
        except BaseException:
            await connection.close()
            raise
        self._idle.append(connection)
        return rows

    async def _drop_idle(self) -> None:
        while self._idle:
            await self._idle.pop().close()

    async def _knock(self) -> None:
        """Tries until Postgres answers; meanwhile queries fail at once."""
        while True:
            with contextlib.suppress(psycopg.OperationalError):
                self._idle.append(await connect(_QUERY_SECONDS))
                self._knocking = None
                return
            await asyncio.sleep(_KNOCK_SECONDS)
