"""Which deployment has just failed whom: that user is sent elsewhere for a while.

What fails for one may well work for the others: a prompt that it chokes on, a region, a filter.
"""

import time
import uuid
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from gateway.health.circuits import judged

GRUDGE_SECONDS: Final = 60.0
_MOST: Final = 20_000


class Grudges:
    """The failures that this process has seen, by account and deployment."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._until: OrderedDict[tuple[uuid.UUID, str], float] = OrderedDict()

    def saw(self, account_id: uuid.UUID, deployment: str, outcome: str) -> None:
        """Notes what an attempt came to: a failure begins a grudge, an answer ends it."""
        key, good = (account_id, deployment), judged(outcome)
        if good:
            self._until.pop(key, None)
        elif good is False:
            self._until[key] = self._now() + GRUDGE_SECONDS
            self._until.move_to_end(key)
            if len(self._until) > _MOST:
                self._until.popitem(last=False)

    def holds(self, account_id: uuid.UUID, deployment: str) -> bool:
        """Whether this account should rather be sent elsewhere."""
        if not self._until:
            return False
        return self._until.get((account_id, deployment), 0.0) > self._now()
