"""The counter store: our scripts on Redis, asked with a bound on the wait.

Every script may be repeated, so a question whose answer was lost is asked again.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.commands.core import AsyncScript
from redis.exceptions import ConnectionError, NoScriptError, RedisError  # noqa: A004

ACCOUNT: Final = "quota"
ADDRESS: Final = "address"
NO_LIMIT: Final = -1
NONE: Final = "-"
"""In the scripts' arguments, in place of a text that there is none of."""

_CONNECTIONS: Final = 32
# Long enough for a process that is starved or busy: its own pauses count as the store's.
_ANSWER_SECONDS: Final = 1.0
_KNOCK_SECONDS: Final = 0.1


class QuotaUnavailable(Exception):
    """The counter store is away or did not answer: nothing may be admitted."""


@dataclass(slots=True)
class Clock:
    """A test's clock, in Unix milliseconds; 0: the store's own."""

    ms: int = 0


@dataclass(frozen=True, slots=True)
class Call:
    """One operation of a script: `keys` are in one slot of a cluster."""

    script: str
    keys: tuple[str, str]
    arguments: tuple[str | int, ...]


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
        self._scripts: dict[str, AsyncScript] = {
            name: self.redis.register_script(
                Path(__file__).with_name(f"{name}.lua").read_text(encoding="utf-8")
            )
            for name in (ACCOUNT, ADDRESS)
        }

    async def ping(self) -> None:
        """Raises QuotaUnavailable unless the store answers."""
        await self.ask(self.redis.ping)

    async def close(self) -> None:
        """Closes the connections."""
        if self._knocking is not None:
            self._knocking.cancel()
        await self.redis.aclose()

    async def run(self, *calls: Call) -> list[list[Any]]:
        """The answers of these operations, asked in one round trip.  QuotaUnavailable."""
        if len(calls) == 1:
            (call,) = calls
            script = self._scripts[call.script]
            return [await self.ask(lambda: script(keys=call.keys, args=call.arguments))]
        answers: list[list[Any]] = await self.ask(lambda: self._run_together(calls))
        return answers

    async def _run_together(self, calls: tuple[Call, ...]) -> list[list[Any]]:
        while True:
            pipeline = self.redis.pipeline(transaction=False)
            for call in calls:
                sha = self._scripts[call.script].sha
                pipeline.evalsha(sha, len(call.keys), *call.keys, *call.arguments)
            try:
                answers: list[list[Any]] = await pipeline.execute()
            except NoScriptError:  # a store that was started anew
                for call in calls:
                    await self.redis.script_load(self._scripts[call.script].script)
            else:
                return answers

    async def ask(self, question: Callable[[], Awaitable[Any]]) -> Any:
        """The store's answer to anything; QuotaUnavailable."""
        async with self._slots:
            if self._knocking is not None:  # one has waited for an answer; nobody else needs to
                raise QuotaUnavailable("the counter store does not answer")
            try:
                async with asyncio.timeout(_ANSWER_SECONDS):
                    return await question()
            except TimeoutError as error:
                if self._knocking is None:
                    self._knocking = asyncio.create_task(self._knock(), name="quota-knock")
                raise QuotaUnavailable("the counter store does not answer") from error
            except (RedisError, OSError) as error:
                raise QuotaUnavailable(str(error)) from error

    async def _knock(self) -> None:
        """Tries until the store answers.  What it was asked in vain before, it has done by then."""
        while True:
            with contextlib.suppress(RedisError, OSError):  # and TimeoutError, which is one
                async with asyncio.timeout(_ANSWER_SECONDS):
                    await self.redis.ping()
                self._knocking = None
                return
            await asyncio.sleep(_KNOCK_SECONDS)
