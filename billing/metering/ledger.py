"""The ledger's writer: one row a request, committed before the provider hears of it, ended once.

Group commit: each process has one writer with one connection.  Whatever waits, intents and
endings, goes out as one statement (so one transaction), and each request waits for its own commit.

When Postgres goes away, intents fail at once: nothing is admitted.  What has become of a commit
that went unanswered is not known, so such an intent is *voided*: its row ends, or is inserted as
ended.  Endings are *owed*: they stay in memory and go out first when Postgres is back; those of a
process that dies meanwhile are the sweeper's.

An owed ending that charges nothing may find its row charged: by an earlier ending of it, whose
commit went unanswered.  Its caller has been told otherwise by then, so the row is *taken back*.
"""

import asyncio
import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Final

import orjson
import psycopg

from accounts.identifiers import uuid7
from accounts.postgres import Connection, NoAnswer, connect, hung_up_after
from billing.metering.rows import (
    COMMIT,
    END_FENCED,
    HOLD,
    HOW_ENDED,
    NOBODY,
    TAKE_BACK,
    VOID,
    Ended,
    Ending,
    Intent,
)

__all__ = [
    "COMMIT_SECONDS",
    "Ended",
    "Ending",
    "Intent",
    "LedgerFenced",
    "LedgerUnavailable",
    "LedgerWriter",
]

logger = logging.getLogger(__name__)

COMMIT_SECONDS: Final = 3.0
_RECONNECT_SECONDS: Final = 0.1
_LARGEST_BATCH: Final = 500
_WITHHELD: Final = "The answer was withheld: Postgres did not confirm in time that it was charged."
# Errors that are about a row.  Any other is about the database, and the rows go out again.
_ROW_ERRORS: Final = (psycopg.DataError, psycopg.IntegrityError)


class LedgerUnavailable(Exception):
    """The row could not be committed (in time)."""


class LedgerFenced(LedgerUnavailable):
    """The booking was made in another generation of the counter store: there is no row of it."""

    def __init__(self, generation: int) -> None:
        super().__init__(f"the counter store is in generation {generation}")
        self.generation = generation


class _Waiting:
    """One row on its way, and who waits for it."""

    __slots__ = ("done", "ended", "generation", "id", "json", "row", "takes_back")

    def __init__(self, row: Intent | Ending) -> None:
        self.row = row
        self.id = row.id
        self.json = orjson.dumps(row)  # here, so that what can't be encoded fails its own request
        self.ended: Ended | None = None  # how the row had ended before, if it had
        self.generation = 0  # of the counter store, in which it was committed
        self.takes_back = False  # should the row have ended as charged before
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def booked_in(self) -> int:
        """The counter store's generation that an intent was booked in."""
        assert isinstance(self.row, Intent)
        return self.row.generation

    def finish(self, error: Exception | None = None) -> None:
        """Tells whoever still waits."""
        if self.done.done():
            return
        if error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(error)
            self.done.exception()  # looked at: an owed row has nobody else who would


@dataclass(slots=True)
class _Batch:
    """What goes out together."""

    intents: list[_Waiting] = field(default_factory=list)
    voids: list[_Waiting] = field(default_factory=list)
    endings: list[_Waiting] = field(default_factory=list)

    def one_by_one(self) -> list["_Batch"]:
        """Batches of one row each."""
        return [
            *(_Batch(intents=[one]) for one in self.intents),
            *(_Batch(voids=[one]) for one in self.voids),
            *(_Batch(endings=[one]) for one in self.endings),
        ]


class LedgerWriter:
    """Commits intents and endings.  One per process, in one event loop."""

    def __init__(self) -> None:
        self._intents: dict[uuid.UUID, _Waiting] = {}
        self._voids: dict[uuid.UUID, _Waiting] = {}
        self._endings: dict[uuid.UUID, _Waiting] = {}  # the owed ones among them
        self._wake = asyncio.Event()
        self._connection: Connection | None = None
        self._task: asyncio.Task[None] | None = None
        self.connected = False
        """Whether the last write went well."""
        self.commits = 0
        """How many transactions were committed."""

    async def start(self) -> None:
        """Connects and begins to write; raises psycopg.OperationalError if Postgres is away."""
        self._connection = await connect(COMMIT_SECONDS)
        self.connected = True
        self._task = asyncio.create_task(self._run(), name="ledger-writer")

    async def stop(self, patience: float = 10.0) -> None:
        """Writes what is owed, `patience` seconds at most, then closes."""
        if self._task is None:
            return
        try:
            async with asyncio.timeout(patience):
                while waiting := [*self._intents.values(), *self._owed()]:
                    await asyncio.wait([one.done for one in waiting])
        except TimeoutError:
            logger.warning("stopping with %d rows owed to the ledger", len(self._owed()))
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def open(self, intent: Intent) -> None:
        """Returns once the row is committed; LedgerUnavailable, and then it never will be open.

        LedgerFenced: it may be booked again and opened under the same id.
        """
        if not self.connected:
            raise LedgerUnavailable("Postgres is away")
        waiting = self._intents[intent.id] = _Waiting(intent)
        self._wake.set()
        try:
            await waiting.done
        except LedgerFenced:
            raise
        except (LedgerUnavailable, asyncio.CancelledError):
            # Still here, it was never sent.  Else the commit's answer may be what was lost, and
            # not the commit.
            if self._intents.pop(intent.id, None) is None:
                self.void(intent)
            raise

    def void(self, intent: Intent) -> None:
        """Ends a row whose commit, by another way, went unanswered: nothing will run on it."""
        self._voids[intent.id] = _Waiting(intent)
        self._wake.set()

    async def end(self, ending: Ending, *, patience: float) -> Ended:
        """Returns once the row has ended: how it did.  LedgerUnavailable after `patience` seconds.

        Even then the ending stays owed, unless `owe` puts another one in its place.
        """
        waiting = self._owe(ending)
        try:
            async with asyncio.timeout(patience):
                await asyncio.shield(waiting.done)
        except TimeoutError as error:
            raise LedgerUnavailable("Postgres is away; the ending is owed") from error
        return _outcome(waiting)

    def owe(self, ending: Ending, then: Callable[[Ended], None] | None = None) -> None:
        """Commits this ending in its time, in place of one for the same row that still waits.

        `then` is called with how the row has ended: an earlier ending of it may have been
        committed although its answer was lost.  If that one charged and this one does not, it is
        taken back.
        """
        waiting = self._owe(ending)
        waiting.takes_back = not ending.charged
        if then is not None:
            waiting.done.add_done_callback(
                lambda done: None if done.exception() else then(_outcome(waiting))
            )

    def _owe(self, ending: Ending) -> _Waiting:
        replaced = self._endings.get(ending.id)
        waiting = self._endings[ending.id] = _Waiting(ending)
        if replaced is not None:
            replaced.finish(LedgerUnavailable("another ending took its place"))
        self._wake.set()
        return waiting

    def _owed(self) -> list[_Waiting]:
        return [*self._voids.values(), *self._endings.values()]

    async def _run(self) -> None:
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._intents or self._owed() or not self.connected:
                    if not await self._write(self._next_batch()):
                        await asyncio.sleep(_RECONNECT_SECONDS)
        finally:
            self.connected = False
            self._fail_intents(LedgerUnavailable("the ledger's writer has stopped"))
            await self._disconnect()

    def _next_batch(self) -> _Batch:
        keys = list(islice(self._intents, _LARGEST_BATCH))
        return _Batch(
            intents=[self._intents.pop(key) for key in keys],
            voids=list(islice(self._voids.values(), _LARGEST_BATCH)),
            endings=list(islice(self._endings.values(), _LARGEST_BATCH)),
        )

    async def _write(self, batch: _Batch) -> bool:
        """Commits a batch, on a new connection if the old one has died; whether it worked."""
        try:
            try:
                await self._commit_or_split(batch)
            except NoAnswer:
                raise
            except (psycopg.OperationalError, psycopg.InterfaceError):
                await self._disconnect()
                await self._commit_or_split(batch)
        except psycopg.Error as error:
            if self.connected:
                logger.warning("lost Postgres: %s", error)
            self.connected = False
            await self._disconnect()
            unavailable = LedgerUnavailable(str(error))
            for one in batch.intents:
                one.finish(unavailable)
            self._fail_intents(unavailable)
            return False
        if not self.connected:
            logger.warning("Postgres is back; %d rows are owed to it", len(self._owed()))
        self.connected = True
        return True

    async def _commit_or_split(self, batch: _Batch) -> None:
        """Commits all rows, or else each by itself: a bad row fails itself and nobody else."""
        if self._connection is None:
            self._connection = await connect(COMMIT_SECONDS)
        try:
            await self._commit(self._connection, batch)
        except _ROW_ERRORS as error:
            each = batch.one_by_one()
            if len(each) > 1:
                for one in each:
                    await self._commit_or_split(one)
                return
            for bad in (*batch.intents, *batch.voids, *batch.endings):
                logger.exception("the ledger refused a row: %r", bad.row)
                self._forget(bad)
                bad.finish(LedgerUnavailable(str(error)))

    async def _commit(self, connection: Connection, batch: _Batch) -> None:
        ids = [one.id for one in batch.endings] or [NOBODY]
        parameters: dict[str, Any] = {
            "intents": _array(batch.intents),
            "endings": _array(batch.endings),
            "first": min(ids),
            "last": max(ids),
        }
        with hung_up_after(connection, COMMIT_SECONDS):
            if batch.voids:
                await connection.execute(VOID, {"intents": _array(batch.voids)})
            cursor = await connection.execute(COMMIT, parameters, prepare=True)
            ((generation, ended),) = await cursor.fetchall()
            ended_here, later = set(ended), generation
            before = [one for one in batch.endings if one.id not in ended_here]
            if before:
                await _learn_how(connection, before)
                if charged := [one for one in before if one.takes_back and _was_charged(one)]:
                    later = await _take_back(connection, charged)
            fenced = [one for one in batch.intents if one.booked_in != generation]
            if fenced:
                await _fence_out(connection, fenced, generation)
        self.commits += 1
        for one in (*batch.intents, *batch.voids, *batch.endings):
            one.generation = later if one.ended is not None and one.ended.taken_back else generation
            self._forget(one)
            one.finish()

    def _forget(self, written: _Waiting) -> None:
        """It is no longer owed; another ending that took its place meanwhile still is."""
        for owed in (self._voids, self._endings):
            if owed.get(written.id) is written:
                del owed[written.id]

    def _fail_intents(self, error: LedgerUnavailable) -> None:
        """Fails those that were never sent."""
        for one in self._intents.values():
            one.finish(error)

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()


def _array(rows: list[_Waiting]) -> str:
    return (b"[" + b",".join([one.json for one in rows]) + b"]").decode()


def _outcome(waiting: _Waiting) -> Ended:
    """How the row of a committed ending has ended: so, unless it had before."""
    if waiting.ended is not None:
        return replace(waiting.ended, generation=waiting.generation)
    ending = waiting.row
    assert isinstance(ending, Ending)
    tokens = ending.prompt_tokens + ending.completion_tokens if ending.charged else 0
    return Ended(ending.status, ending.charged, tokens, waiting.generation)


async def _learn_how(connection: Connection, ended_before: list[_Waiting]) -> None:
    """Somebody ended these rows first: the sweeper, or a commit of ours that went unanswered."""
    parameters = {"ids": [one.id for one in ended_before]}
    cursor = await connection.execute(HOW_ENDED, parameters)
    found = {row[0]: Ended(*row[1:]) for row in await cursor.fetchall()}
    for one in ended_before:
        one.ended = found.get(one.id)


def _was_charged(waiting: _Waiting) -> bool:
    return waiting.ended is not None and waiting.ended.charged


async def _take_back(connection: Connection, charged: list[_Waiting]) -> int:
    """Gives the counter store's generation in which the corrections were committed."""
    ids = [one.id for one in charged]
    parameters = {
        "ids": ids,
        "corrections": [uuid7(one.int >> 80) for one in ids],
        "reason": _WITHHELD,
    }
    async with connection.transaction():
        cursor = await connection.execute("SELECT billing_generation()")
        ((generation,),) = await cursor.fetchall()
        await connection.execute(HOLD, {"ids": ids})
        await connection.execute(TAKE_BACK, parameters)
    await _learn_how(connection, charged)
    for one in charged:
        if _was_charged(one):  # staff have corrected it in part, and now it is theirs
            logger.error("%s is charged, although its answer was withheld", one.id)
        else:
            logger.warning("%s was charged and its answer withheld: it was taken back", one.id)
    return int(generation)


async def _fence_out(connection: Connection, fenced: list[_Waiting], generation: int) -> None:
    """Fails intents of another generation, whose rows were not inserted.

    One may be there all the same: by a first attempt that was committed in time, and whose answer
    was lost.  Nothing will run on it, so it ends.
    """
    cursor = await connection.execute(END_FENCED, {"ids": [one.id for one in fenced]})
    there = {row[0] for row in await cursor.fetchall()}
    for one in fenced:
        gone = LedgerUnavailable("its first commit's answer was lost")
        one.finish(gone if one.id in there else LedgerFenced(generation))
