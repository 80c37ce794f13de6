"""That a gateway process lives: a row with a heartbeat, by the database's clock.

Whose heartbeat is older than DEAD_AFTER_SECONDS is taken for dead, and its reservations for lost:
the sweeper abandons them.  A process that was only frozen, or cut off from Postgres for that long,
keeps its id and its row when it comes back, and the story stays true:

* Its next heartbeat makes it a living process again (and takes back the `ended_at` that the
  sweeper may have set when it was done with it).
* What it was running meanwhile has ended as abandoned, uncharged.  Rows end once, so its own
  endings come too late, learn that, and tell it to the counters.
* What it admitted while it may have been taken for dead must not run: another sweep may be
  abandoning it at this moment.  `lived_since` says so, and admission asks it, after the row's
  commit, whether there was a gap since before the booking.
"""

import asyncio
import contextlib
import logging
import os
import socket
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Final

from accounts.postgres import PostgresUnavailable, ReadPool

HEARTBEAT_SECONDS: Final = 3.0
DEAD_AFTER_SECONDS: Final = 12.0
# How long a process may think that it is not taken for dead: less, as the two clocks may drift.
logger = logging.getLogger(__name__)

_LEASE_SECONDS: Final = 10.0
_RETRY_SECONDS: Final = 0.5

_BEAT: Final = """
INSERT INTO billing_gatewayprocess (id, host, pid, started_at, heartbeat_at)
VALUES (%s, %s, %s, now(), now())
ON CONFLICT (id) DO UPDATE SET heartbeat_at = now(), ended_at = NULL
"""
_END: Final = "UPDATE billing_gatewayprocess SET ended_at = now() WHERE id = %s"


class Heartbeat:
    """This process's sign of life.  `also` is called after each beat, for what is written rarely.

    `also` may raise PostgresUnavailable.  The other arguments are for tests; times in seconds.
    """

    def __init__(
        self,
        pool: ReadPool,
        process_id: uuid.UUID,
        also: Callable[[], Awaitable[None]],
        *,
        pause: float = HEARTBEAT_SECONDS,
        retry_pause: float = _RETRY_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pool = pool
        self._process_id = process_id
        self._also = also
        self._pause = pause
        self._retry_pause = retry_pause
        self._clock = clock
        self._beat_at = self._unbroken_since = -float("inf")
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Registers the process, before it may hold a reservation.  Raises PostgresUnavailable."""
        await self.beat()
        self._task = asyncio.create_task(self._keep_beating(), name="heartbeat")

    async def stop(self) -> None:
        """Says that the process ended in good order, and holds nothing any more."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        # Without Postgres the row goes stale instead, which says the same a little later.
        with contextlib.suppress(PostgresUnavailable):
            await self._also()
            await self._pool.fetch(_END, (self._process_id,))

    def lived_since(self, moment: float) -> bool:
        """Whether nobody can have taken this process for dead since `moment` (time.monotonic())."""
        return moment >= self._unbroken_since and self._clock() - self._beat_at < _LEASE_SECONDS

    async def beat(self) -> None:
        """One heartbeat.  Raises PostgresUnavailable."""
        # From before the question, so that the database's time of it is not the earlier one.
        asked_at = self._clock()
        await self._pool.fetch(_BEAT, (self._process_id, socket.gethostname()[:120], os.getpid()))
        if asked_at - self._beat_at > _LEASE_SECONDS:
            self._unbroken_since = asked_at
        self._beat_at = asked_at

    async def _keep_beating(self) -> None:
        pause = self._pause
        while True:
            await asyncio.sleep(pause)
            try:
                await self.beat()
                await self._also()
                pause = self._pause
            except PostgresUnavailable:
                pause = self._retry_pause
            except Exception:  # a Postgres that is read-only for a while, say: it must beat again
                logger.exception("a heartbeat failed")
                pause = self._retry_pause
