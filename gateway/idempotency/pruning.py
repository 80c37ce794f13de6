"""Stored answers go away after a day, a few at a time."""

import datetime as dt
from typing import Any, Final

from gateway.idempotency.claims import KEPT

_BATCH: Final = 200  # each may be a megabyte

# Rows that another one deletes or takes over at this moment are left to it.
_PRUNE: Final = """
DELETE FROM gateway_storedanswer WHERE id IN (
       SELECT id FROM gateway_storedanswer WHERE claimed_at < %s
        ORDER BY claimed_at LIMIT %s FOR UPDATE SKIP LOCKED)
"""


def prune(connection: Any, now: dt.datetime, batch: int = _BATCH) -> int:
    """Deletes what is older than a day at `now`; how many.  `connection` is Django's."""
    pruned = 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(_PRUNE, [now - KEPT, batch])
            deleted: int = cursor.rowcount
        pruned += deleted
        if deleted < batch:
            return pruned
