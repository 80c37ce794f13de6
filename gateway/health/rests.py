"""Which deployments rest: their provider said when to ask again.

A circuit needs failures to know that a provider is not to be asked; here it has said so itself.
"""

import logging
import time
from collections.abc import Callable
from typing import Final

logger = logging.getLogger(__name__)

LONGEST_REST: Final = 60.0
"""Seconds that a provider is believed for.  Some say hours, and answer in the next minute."""


class Rests:
    """The deployments that rest, as this process was told."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._until: dict[str, float] = {}

    def told(self, deployment: str, seconds: float) -> None:
        """Notes that the deployment's provider said to ask it again after so many seconds."""
        if not self.holds(deployment):
            logger.warning("%s is asked last: its provider said to wait %g s", deployment, seconds)
        self._until[deployment] = self._now() + min(seconds, LONGEST_REST)

    def holds(self, deployment: str) -> bool:
        """Whether callers' requests, and probes, should rather go elsewhere."""
        if not self._until:
            return False
        return self._until.get(deployment, 0.0) > self._now()
