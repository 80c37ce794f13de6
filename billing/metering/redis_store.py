"""The counter store: our scripts on Redis, asked together, with a bound on the wait.

Whatever waits goes out in one round trip, as the ledger's rows do in one commit: most of what a
question costs this process is the trip.  Every script may be repeated, so a question whose answer
was lost is asked again.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.commands.core import AsyncScript
from redis.exceptions import (
    ConnectionError,  # noqa: A004
    DataError,
    NoScriptError,
    RedisError,
)

logger = logging.getLogger(__name__)

ACCOUNT: Final = "quota"
ADDRESS: Final = "address"
NO_LIMIT: Final = -1
NONE: Final = "-"
"""In the scripts' arguments, in place of a text that there is none of."""

_CONNECTIONS: Final = 32
# Long enough for a process that is starved or busy: its own pauses count as the store's.
_ANSWER_SECONDS: Final = 1.0
_KNOCK_SECONDS: Final = 0.1
_LONGEST_TRIP: Final = 100  # questions: some milliseconds of the store's time


class QuotaUnavailable(Exception):
    """The counter store is away or did not answer: nothing may be admitted."""


class NotAsked(QuotaUnavailable):
    """The store is known to be away, so this question was never sent."""


@dataclass(slots=True)
class Clock:
    """A test's clock, in Unix milliseconds; 0: the store's own."""

    ms: int = 0


@dataclass(frozen=True, slots=True)
class Call:
    """One operation of a script: `keys` are in one slot of a cluster."""

    script: str
    keys: tuple[str, ...]
    arguments: tuple[str | int, ...]


class _Asked:
    """Calls that are answered together, and who waits for it."""

    __slots__ = ("answers", "calls")

    def __init__(self, calls: tuple[Call, ...]) -> None:
        self.calls = calls
        self.answers: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()

    def tell(self, answers: list[Any]) -> None:
        """The calls' answers; an error among them is no other question's."""
        failed = next((one for one in answers if isinstance(one, Exception)), None)
        if failed is not None:
            self.fail(failed)
        elif not self.answers.done():
            self.answers.set_result(answers)

    def fail(self, cause: Exception) -> None:
        """Raises QuotaUnavailable for whoever asked, unless they are gone."""
        if not self.answers.done():
            error = QuotaUnavailable(str(cause))  # of their own: a traceback grows with each raise
            error.__cause__ = cause
            self.answers.set_exception(error)


class RedisStore:
    """The connection to it.  One per process, for any number of tasks in one loop."""

    def __init__(self, redis_url: str) -> None:
        self.redis: Redis = Redis.from_url(
            redis_url,
            socket_connect_timeout=None,  # `ask` bounds it all
            socket_timeout=None,
            # One repetition on a new connection, for one that died idle.  More would only keep the
            # caller waiting for its 503.
            retry=Retry(NoBackoff(), 1, supported_errors=(ConnectionError,)),
        )
        self._slots = asyncio.Semaphore(_CONNECTIONS)
        self._knocking: asyncio.Task[None] | None = None  # as long as the store does not answer
        self._scripts: dict[str, AsyncScript] = {}
        for name in (ACCOUNT, ADDRESS):
            self.register(name, Path(__file__).with_name(f"{name}.lua"))
        self._asked: list[_Asked] = []  # and not sent yet
        self._travelling: asyncio.Task[None] | None = None

    def register(self, name: str, path: Path) -> None:
        """Makes a script known, by the name that its calls give."""
        self._scripts[name] = self.redis.register_script(path.read_text(encoding="utf-8"))

    async def ping(self) -> None:
        """Raises QuotaUnavailable unless the store answers."""
        await self.ask(self.redis.ping)

    async def close(self) -> None:
        """Closes the connections; whoever still waits for an answer is cancelled."""
        for task in (self._knocking, self._travelling):
            if task is not None:
                task.cancel()
        self._cancel_asked()  # a task that has not begun yet does nothing when it is cancelled
        await self.redis.aclose()

    async def run(self, *calls: Call) -> list[Any]:
        """The answers of these operations, which are run in this order.  QuotaUnavailable."""
        self._require_answers()
        asked = _Asked(calls)
        self._asked.append(asked)
        if self._travelling is None:
            self._travelling = asyncio.create_task(self._travel(), name="quota-trips")
        return await asked.answers

    async def _travel(self) -> None:
        """Goes as long as there is anything to ask, one trip after another.

        So what is asked later is done later, on whichever connection: a refund never comes before
        the booking whose answer nobody waited for.
        """
        try:
            while self._asked:
                trip, self._asked = self._asked[:_LONGEST_TRIP], self._asked[_LONGEST_TRIP:]
                if waiting := [one for one in trip if not one.answers.done()]:
                    await self._answer(waiting)
        except asyncio.CancelledError:
            self._cancel_asked()
            raise
        finally:
            self._travelling = None

    def _cancel_asked(self) -> None:
        for one in self._asked:
            one.answers.cancel()
        self._asked = []

    async def _answer(self, asked: list[_Asked]) -> None:
        try:
            answers = await self.ask(
                lambda: self._run_together([call for one in asked for call in one.calls])
            )
        except asyncio.CancelledError:
            for one in asked:
                one.answers.cancel()
            raise
        except QuotaUnavailable as error:
            for one in asked:
                one.fail(error)
        except Exception as error:
            if len(asked) == 1:
                logger.exception("a question to the counter store broke")
                asked[0].fail(error)
            else:  # one of them can't be asked: the others must not suffer for it
                for one in asked:
                    await self._answer([one])
        else:
            of_each = iter(answers)
            for one in asked:
                one.tell(list(islice(of_each, len(one.calls))))

    async def _run_together(self, calls: list[Call]) -> list[Any]:
        """Each call's answer, or the error that it came to."""
        while True:
            pipeline = self.redis.pipeline(transaction=False)
            for call in calls:
                sha = self._scripts[call.script].sha
                pipeline.evalsha(sha, len(call.keys), *call.keys, *call.arguments)
            answers: list[Any] = await pipeline.execute(raise_on_error=False)
            if not any(isinstance(answer, NoScriptError) for answer in answers):
                return answers
            for script in self._scripts.values():  # a store that was started anew
                await self.redis.script_load(script.script)

    async def ask(self, question: Callable[[], Awaitable[Any]]) -> Any:
        """The store's answer to anything; QuotaUnavailable."""
        async with self._slots:
            self._require_answers()
            try:
                async with asyncio.timeout(_ANSWER_SECONDS):
                    return await question()
            except TimeoutError as error:
                if self._knocking is None:
                    self._knocking = asyncio.create_task(self._knock(), name="quota-knock")
                raise QuotaUnavailable("the counter store does not answer") from error
            except DataError:  # it can't even be written down, which is no fault of the store's
                raise
            except (RedisError, OSError) as error:
                raise QuotaUnavailable(str(error)) from error

    def _require_answers(self) -> None:
        if self._knocking is not None:  # one has waited for an answer; nobody else needs to
            raise NotAsked("the counter store does not answer")

    async def _knock(self) -> None:
        """Tries until the store answers.  What it was asked in vain before, it has done by then."""
        while True:
            try:
                async with asyncio.timeout(_ANSWER_SECONDS):
                    await self.redis.ping()
            except (RedisError, OSError):  # and TimeoutError, which is one
                pass
            except Exception:
                logger.exception("a knock at the counter store broke")
            else:
                self._knocking = None
                return
            await asyncio.sleep(_KNOCK_SECONDS)
