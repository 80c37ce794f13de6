"""The ledger's writer: one row a request, committed before the provider hears of it, ended once.

Group commit: each process has one writer with one connection.  Whatever waits, intents and
endings, goes out as one statement (so one transaction), and each request waits for its own commit.

When Postgres goes away, intents fail at once: nothing is admitted.  Endings are *owed*: they stay
in memory and go out first when it is back; those of a process that dies meanwhile are the
sweeper's.  Every statement may be repeated: an intent that exists and a row that has ended are
left as they are.
"""

import asyncio
import datetime as dt
import logging
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import orjson
import psycopg

from accounts.identifiers import uuid7_floor
from accounts.postgres import ReadPool, conninfo
from billing.metering.quota import Booking, LedgerSum

logger = logging.getLogger(__name__)

_COMMIT_SECONDS: Final = 3.0
_RECONNECT_SECONDS: Final = 0.1
_LARGEST_BATCH: Final = 500
_LONGEST_REQUEST: Final = dt.timedelta(hours=1)


class LedgerUnavailable(Exception):
    """The row could not be committed (in time)."""


@dataclass(frozen=True, slots=True)
class Intent:
    """A row as it is first written: somebody was admitted, and this is reserved for them."""

    id: uuid.UUID
    account_id: uuid.UUID
    token_id: uuid.UUID | None
    tier: str
    model: str
    streamed: bool
    reserved_tokens: int
    admitted_at: dt.datetime
    deadline_at: dt.datetime
    process_id: uuid.UUID


@dataclass(frozen=True, slots=True)
class Ending:
    """How a row ends.  Tokens are what was produced; `charged` says whether they count."""

    id: uuid.UUID
    status: str
    charged: bool
    ended_at: dt.datetime
    deployment: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    estimated: bool = False
    cost_micros: int = 0
    price_micros: int = 0
    attempts: tuple[dict[str, Any], ...] = ()
    error_code: str = ""
    first_token_at: dt.datetime | None = None


_INTENT_COLUMNS: Final = {
    "id": "uuid",
    "account_id": "uuid",
    "token_id": "uuid",
    "tier": "text",
    "model": "text",
    "streamed": "boolean",
    "reserved_tokens": "integer",
    "admitted_at": "timestamptz",
    "deadline_at": "timestamptz",
    "process_id": "uuid",
}
_ENDING_COLUMNS: Final = {
    "id": "uuid",
    "status": "text",
    "charged": "boolean",
    "ended_at": "timestamptz",
    "deployment": "text",
    "prompt_tokens": "integer",
    "completion_tokens": "integer",
    "cached_tokens": "integer",
    "estimated": "boolean",
    "cost_micros": "bigint",
    "price_micros": "bigint",
    "attempts": "jsonb",
    "error_code": "text",
    "first_token_at": "timestamptz",
}


def _statement() -> str:
    """Inserts the intents and ends the rows of two JSON arrays, in one transaction.

    JSON, because encoding a batch costs the process a few microseconds and Postgres the rest.
    The range of ids lets Postgres leave out the months that none of the rows is in.
    """
    intents = ", ".join(_INTENT_COLUMNS)
    intent_types = ", ".join(f"{name} {kind}" for name, kind in _INTENT_COLUMNS.items())
    ending_types = ", ".join(f"{name} {kind}" for name, kind in _ENDING_COLUMNS.items())
    changes = ", ".join(f"{name} = ending.{name}" for name in _ENDING_COLUMNS if name != "id")
    return f"""
        WITH opened AS (
            INSERT INTO billing_ledgerentry ({intents}, status, charged, deployment, prompt_tokens,
                   completion_tokens, cached_tokens, estimated, cost_micros, price_micros, attempts,
                   error_code)
            SELECT {intents}, 'reserved', true, '', 0, 0, 0, false, 0, 0, '[]', ''
              FROM json_to_recordset(%s::json) AS intent ({intent_types})
            ON CONFLICT (id) DO NOTHING
        )
        UPDATE billing_ledgerentry entry SET {changes}
          FROM json_to_recordset(%s::json) AS ending ({ending_types})
         WHERE entry.id = ending.id AND entry.status = 'reserved'
           AND entry.id BETWEEN %s::uuid AND %s::uuid
        RETURNING entry.id
    """


_COMMIT: Final = _statement()
_NOBODY: Final = uuid.UUID(int=0)


class _Waiting:
    """One intent or ending on its way, and who waits for it."""

    __slots__ = ("done", "row")

    def __init__(self, row: Intent | Ending) -> None:
        self.row = row
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def finish(self, error: Exception | None = None) -> None:
        """Tells whoever still waits."""
        if self.done.done():
            return
        if error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(error)


class LedgerWriter:
    """Commits intents and endings.  One per process, in one event loop."""

    def __init__(self) -> None:
        self._intents: list[_Waiting] = []
        self._endings: dict[uuid.UUID, _Waiting] = {}  # the owed ones among them
        self._wake = asyncio.Event()
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._task: asyncio.Task[None] | None = None
        self.commits = 0

    @property
    def connected(self) -> bool:
        """Whether the last contact with Postgres went well."""
        return self._connection is not None

    async def start(self) -> None:
        """Connects and begins to write; raises psycopg.OperationalError if Postgres is away."""
        await self._connect()
        self._task = asyncio.create_task(self._run(), name="ledger-writer")

    async def stop(self, patience: float = 10.0) -> None:
        """Writes what is owed, `patience` seconds at most, then closes."""
        if self._task is None:
            return
        try:
            async with asyncio.timeout(patience):
                while self._intents or self._endings:
                    pending = [one.done for one in (*self._intents, *self._endings.values())]
                    await asyncio.wait(pending)
        except TimeoutError:
            logger.error("stopping with %d endings owed to the ledger", len(self._endings))
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        if self._connection is not None:
            await self._connection.close()

    async def open(self, intent: Intent) -> None:
        """Returns once the row is committed; LedgerUnavailable, and then it never will be open."""
        if self._connection is None:
            raise LedgerUnavailable("Postgres is away")
        waiting = _Waiting(intent)
        self._intents.append(waiting)
        self._wake.set()
        try:
            await waiting.done
        except (LedgerUnavailable, asyncio.CancelledError):
            # The commit's answer may be what was lost, not the commit.
            self._owe(_never_ran(intent))
            raise

    async def end(self, ending: Ending, *, patience: float) -> None:
        """Returns once the ending is committed; LedgerUnavailable after `patience` seconds.

        Even then it stays owed, and is committed when Postgres is back, unless `end` or `owe`
        is called for the same row before.
        """
        waiting = self._owe(ending)
        try:
            async with asyncio.timeout(patience):
                await asyncio.shield(waiting.done)
        except TimeoutError as error:
            raise LedgerUnavailable("Postgres is away; the ending is owed") from error

    def owe(self, ending: Ending) -> None:
        """Commits this ending in its time, in place of one for the same row that still waits."""
        self._owe(ending)

    def _owe(self, ending: Ending) -> _Waiting:
        waiting = _Waiting(ending)
        replaced = self._endings.get(ending.id)
        self._endings[ending.id] = waiting
        if replaced is not None:
            waiting.done.add_done_callback(lambda _: replaced.finish())
        self._wake.set()
        return waiting

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._intents or self._endings:
                if self._connection is None and not await self._reconnect():
                    await asyncio.sleep(_RECONNECT_SECONDS)
                    continue
                intents, self._intents = (
                    self._intents[:_LARGEST_BATCH],
                    self._intents[_LARGEST_BATCH:],
                )
                endings = list(self._endings.values())[:_LARGEST_BATCH]
                await self._commit(intents, endings)

    async def _commit(self, intents: list[_Waiting], endings: list[_Waiting]) -> None:
        try:
            await self._write_or_reconnect(intents, endings)
        except LedgerUnavailable as error:
            for one in intents:
                one.finish(error)
            return
        except psycopg.Error as error:
            if len(intents) + len(endings) > 1:  # a bad row fails itself and nobody else
                for one in intents:
                    await self._commit([one], [])
                for one in endings:
                    await self._commit([], [one])
                return
            logger.exception("the ledger refused a row: %r", (intents or endings)[0].row)
            self._forget(endings)
            (intents or endings)[0].finish(LedgerUnavailable(str(error)))
            return
        self.commits += 1
        self._forget(endings)
        for one in (*intents, *endings):
            one.finish()

    def _forget(self, endings: Iterable[_Waiting]) -> None:
        for one in endings:
            if self._endings.get(one.row.id) is one:
                del self._endings[one.row.id]

    async def _write_or_reconnect(self, intents: list[_Waiting], endings: list[_Waiting]) -> None:
        """Writes once, and once more on a new connection: the old one may have died idle."""
        for last in (False, True):
            try:
                await self._write(intents, endings)
            except (psycopg.OperationalError, psycopg.InterfaceError, TimeoutError) as error:
                await self._lose(error)
                if last or isinstance(error, TimeoutError) or not await self._reconnect():
                    raise LedgerUnavailable(str(error)) from error
            else:
                return

    async def _write(self, intents: list[_Waiting], endings: list[_Waiting]) -> None:
        if self._connection is None:
            raise psycopg.OperationalError("not connected")
        ids = [one.row.id for one in endings] or [_NOBODY]
        parameters = (
            orjson.dumps([one.row for one in intents]).decode(),
            orjson.dumps([one.row for one in endings]).decode(),
            min(ids),
            max(ids),
        )
        async with asyncio.timeout(_COMMIT_SECONDS):
            await self._connection.execute(_COMMIT, parameters, prepare=True)

    async def _lose(self, error: Exception) -> None:
        logger.warning("lost Postgres: %s", error or type(error).__name__)
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()
        self._wake.set()

    async def _reconnect(self) -> bool:
        try:
            await self._connect()
        except (psycopg.OperationalError, TimeoutError):
            failed, self._intents = self._intents, []
            for one in failed:
                one.finish(LedgerUnavailable("Postgres is away"))
            return False
        logger.warning("Postgres is back; %d endings are owed", len(self._endings))
        return True

    async def _connect(self) -> None:
        async with asyncio.timeout(_COMMIT_SECONDS):
            self._connection = await psycopg.AsyncConnection.connect(
                conninfo(), autocommit=True, prepare_threshold=0
            )


def _never_ran(intent: Intent) -> Ending:
    """The ending of a row that may or may not have been committed, and whose request never ran."""
    return Ending(
        id=intent.id,
        status="failed",
        charged=False,
        ended_at=dt.datetime.now(dt.UTC),
        error_code="ledger_unavailable",
    )


_SUM: Final = """
SELECT count(*) FILTER (WHERE admitted_at >= %(hour)s AND charged),
       count(*) FILTER (WHERE admitted_at >= %(day)s AND charged),
       coalesce(sum(CASE status WHEN 'reserved' THEN reserved_tokens
                                ELSE prompt_tokens + completion_tokens END)
                FILTER (WHERE admitted_at >= %(day)s AND charged), 0)
  FROM billing_ledgerentry WHERE account_id = %(account)s AND id >= %(first)s
"""
_RUNNING: Final = """
SELECT id, admitted_at, reserved_tokens, process_id, deadline_at
  FROM billing_ledgerentry
 WHERE account_id = %(account)s AND id >= %(first)s AND status = 'reserved'
"""


class LedgerSums:
    """What the ledger says of an account: the truth that its counters are rebuilt from."""

    def __init__(self, pool: ReadPool) -> None:
        self._pool = pool

    async def sum_account(self, account_id: uuid.UUID, at_ms: int) -> LedgerSum:
        """The account's hour and day at `at_ms`, and what is running.  PostgresUnavailable."""
        hour, day = at_ms // 3_600_000, at_ms // 86_400_000
        day_start = dt.datetime.fromtimestamp(day * 86_400, dt.UTC)
        parameters = {
            "account": account_id,
            "hour": dt.datetime.fromtimestamp(hour * 3_600, dt.UTC),
            "day": day_start,
            # Ids carry their process's clock, `admitted_at` the counter store's.
            "first": uuid7_floor(day_start - _LONGEST_REQUEST),
        }
        # One statement for both, so that both see the same moment.
        query = f"WITH running AS ({_RUNNING}), summed AS ({_SUM}) {_TOGETHER}"
        ((hour_requests, day_requests, day_tokens, running),) = await self._pool.fetch(
            query, parameters
        )
        return LedgerSum(
            hour, hour_requests, day, day_requests, int(day_tokens), tuple(map(_booking, running))
        )


_TOGETHER: Final = """
SELECT summed.*, coalesce((SELECT json_agg(json_build_array(
           id, extract(epoch FROM admitted_at) * 1000, reserved_tokens, process_id,
           extract(epoch FROM deadline_at) * 1000)) FROM running), '[]')
  FROM summed
"""


def _booking(row: list[Any]) -> Booking:
    request_id, admitted_ms, tokens, process_id, deadline_ms = row
    return Booking(
        uuid.UUID(request_id),
        int(admitted_ms) // 3_600_000,
        int(admitted_ms) // 86_400_000,
        tokens,
        uuid.UUID(process_id),
        int(deadline_ms),
    )
