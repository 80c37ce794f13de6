"""Each process's open circuits, told to the others: for staff and the status page.

Nothing on the request path waits for it, and nothing is decided by it: a process judges by what it
sees itself.  A circuit counts as open for as long as its process keeps saying so.
"""

import datetime as dt
import logging
import uuid
from typing import Final

from django.db import connection

from accounts.postgres import ReadPool
from gateway.health.circuits import Circuits

logger = logging.getLogger(__name__)

HEARD_WITHIN: Final = dt.timedelta(seconds=15)
"""A circuit of which nothing was heard for longer is of a process that has died."""

_SAID_AGAIN: Final = 5  # after how many rounds without a change

# Tells what is open, and writes an event for each circuit that opened or closed since it was last
# told.  Said twice, as a pool may do it, it comes to the same.
_REPORT: Final = """
WITH told AS (
    INSERT INTO gateway_opencircuit (process_id, deployment, opened_at, heard_at)
    SELECT %(process)s, deployment, now() - seconds * interval '1 second', now()
      FROM unnest(%(names)s::text[], %(seconds)s::float8[]) AS circuit (deployment, seconds)
    ON CONFLICT (process_id, deployment) DO UPDATE SET heard_at = now()
    RETURNING deployment, opened_at, xmax = 0 AS is_new
), closed AS (
    DELETE FROM gateway_opencircuit
     WHERE process_id = %(process)s AND deployment <> ALL (%(names)s::text[])
    RETURNING deployment, opened_at
)
INSERT INTO gateway_healthevent (at, deployment, kind, text, process_id)
SELECT opened_at, deployment, 'circuit_opened', 'One process asks it last.', %(process)s
  FROM told WHERE is_new
UNION ALL
SELECT now(), deployment, 'circuit_closed',
       'After ' || round(extract(epoch FROM now() - opened_at)) || ' s.', %(process)s
  FROM closed
"""
_DROP: Final = """
WITH dead AS (
    DELETE FROM gateway_opencircuit WHERE heard_at < now() - interval '1 minute'
     RETURNING process_id, deployment
)
INSERT INTO gateway_healthevent (at, deployment, kind, text, process_id)
SELECT now(), deployment, 'circuit_closed', 'Its process is gone.', process_id FROM dead
"""


class CircuitReports:
    """Tells what is open in this process.  `write` is to be called about once a second."""

    def __init__(self, circuits: Circuits, pool: ReadPool, process_id: uuid.UUID) -> None:
        self._circuits = circuits
        self._pool = pool
        self._process_id = process_id
        self._told: frozenset[str] = frozenset()
        self._rounds = 0

    async def write(self) -> None:
        """Tells what has changed, or again what has not.  Raises PostgresUnavailable.

        While nothing is open and nothing was, it asks nobody anything.
        """
        seconds = self._circuits.open_seconds()
        self._rounds += 1
        if seconds.keys() == self._told and (not seconds or self._rounds < _SAID_AGAIN):
            return
        values = {
            "process": self._process_id,
            "names": list(seconds),
            "seconds": list(seconds.values()),
        }
        await self._pool.fetch(_REPORT, values)
        self._told, self._rounds = frozenset(seconds), 0

    async def close(self) -> None:
        """Takes back what was told: the process ends."""
        for name in self._circuits.open_seconds():
            self._circuits.forget(name)
        await self.write()


def drop_the_dead() -> None:
    """Deletes what dead processes told, and writes that it is over."""
    with connection.cursor() as cursor:
        cursor.execute(_DROP)
