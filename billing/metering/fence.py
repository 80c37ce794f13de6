"""Which counter store decides, for all processes: Redis, or the ledger while Redis is away.

Postgres holds a number, the *generation*.  In odd ones Redis decides, in even ones the ledger.
Each commit of ledger rows locks it, shared, and learns it; whoever moves it waits for all of those.
So a booking that was made in one generation has its row committed in that generation, or never,
and never do both stores decide at once, whatever each process believes of Redis.

Redis keeps each generation's counters apart.  After a move back every account is cold, and summed
from the ledger, which by then has all that was admitted meanwhile.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from accounts.postgres import PostgresUnavailable, ReadPool
from billing.metering.redis_store import QuotaUnavailable

logger = logging.getLogger(__name__)

FIRST: Final = 1
_LOOK_SECONDS: Final = 0.5
_STAY_SECONDS: Final = 3.0  # a Redis that comes and goes must not move everybody each time

_READ: Final = "SELECT billing_generation()"
_MOVE: Final = "SELECT billing_next_generation(%s)"
_SINCE: Final = """
SELECT extract(epoch FROM clock_timestamp() - changed_at) FROM billing_counterstore WHERE id = 1
"""


class Generation:
    """The generation as this process knows it.  It may be out of date; a commit then says so."""

    def __init__(self, number: int = FIRST) -> None:
        self.number = number

    @property
    def in_redis(self) -> bool:
        """Whether Redis decides."""
        return self.number % 2 == 1

    def saw(self, number: int) -> None:
        """Notes a generation that a commit was made in."""
        if number > self.number:
            logger.warning("%s counts now", "Redis" if number % 2 else "the ledger")
            self.number = number


class Fence(Generation):
    """Keeps the number up to date, and moves it.  One per process.

    `ping` raises QuotaUnavailable unless Redis answers.
    """

    def __init__(self, pool: ReadPool, ping: Callable[[], Awaitable[None]]) -> None:
        super().__init__()
        self._pool = pool
        self._ping = ping
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Reads it and keeps looking.  Raises PostgresUnavailable."""
        await self.refresh()
        self._task = asyncio.create_task(self._watch(), name="fence")

    async def stop(self) -> None:
        """Looks no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def refresh(self) -> None:
        """Reads the number.  Raises PostgresUnavailable."""
        ((number,),) = await self._pool.fetch(_READ)
        self.saw(number)

    async def move(self, seen: int) -> None:
        """Ends the generation `seen`, unless somebody did already.  Raises PostgresUnavailable."""
        ((number,),) = await self._pool.fetch(_MOVE, (seen,))
        self.saw(number)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            try:
                await self.refresh()
                if not self.in_redis:
                    await self._return_if_it_is_back(self.number)
            except (PostgresUnavailable, QuotaUnavailable):
                continue
            except Exception:
                logger.exception("could not look which store counts")

    async def _return_if_it_is_back(self, seen: int) -> None:
        await self._ping()
        ((seconds,),) = await self._pool.fetch(_SINCE)
        if seconds >= _STAY_SECONDS:
            await self.move(seen)
