"""The ways in which the API can be out of order, for tests."""

import asyncio
from dataclasses import dataclass
from typing import Final, Literal

from billing.sandbox.errors import ApiError, Failed

Mode = Literal["ok", "500", "503", "429", "hang", "drop"]
MODES: Final = ("ok", "500", "503", "429", "hang", "drop")


@dataclass
class Faults:
    """What is wrong with the API now.  A restart mends it."""

    mode: str = "ok"
    seconds: int = 80
    """How long `hang` takes before it answers as always; the SDK's own patience is 80 s."""

    async def before(self) -> None:
        """Waits, or refuses, before a call is looked at."""
        if self.mode == "hang":
            await asyncio.sleep(self.seconds)
        elif self.mode == "503":
            raise ApiError("The API is out of order.", status=503)
        elif self.mode == "429":
            raise ApiError("Too many requests.", "rate_limit", status=429)

    def within(self, method: str) -> None:
        """Fails once a call that changes something has begun: its key is used up."""
        if self.mode == "500" and method == "POST":
            raise Failed

    @property
    def hangs_up(self) -> bool:
        """Whether calls are done and their answers lost."""
        return self.mode == "drop"
