"""The record of every call that the double received, and how many ran at once."""

import asyncio
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import orjson

OPEN: Final = "open"


@dataclass(slots=True, kw_only=True, eq=False)
class Call:
    """One call, as the double saw it. Times are of the monotonic clock, in seconds."""

    sequence: int
    """Arrival order, from 1."""
    id: str
    account: str
    key: str
    """The last four characters of the API key."""
    model: str
    stream: bool
    include_usage: bool
    maximum: int | None
    """The `max_completion_tokens` or `max_tokens` that arrived."""
    choices: int
    user: str | None
    fields: list[str]
    """Names of the body's top-level fields, sorted."""
    prompt_tokens: int
    at_once: int
    """Calls of the same account that were open, this one included."""
    started: float
    completion_tokens: int = 0
    """Tokens of the content that was written to the client."""
    outcome: str = OPEN
    """`open`, `completed`, `failed:<status or kind>`, `cut` or `disconnected`."""
    ended: float | None = None


class CallLog:
    """Every call in arrival order, in memory and, if asked, as JSON lines in a file.

    A line is written when its call ends.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._file = path.open("ab", buffering=0) if path else None
        self.reset()

    def reset(self) -> None:
        """Forget the calls and the maxima. Calls still open end unrecorded."""
        self.calls: list[Call] = []
        self._open: set[Call] = set()
        self._open_by_account: Counter[str] = Counter()
        self.most: int = 0
        self.most_by_account: dict[str, int] = {}
        self._struck: Counter[str] = Counter()
        self._arrivals: dict[str, asyncio.Event] = {}

    def open(self, **facts: Any) -> Call:
        """Record an arriving call; the facts are the fields of Call."""
        account: str = facts["account"]
        self._open_by_account[account] += 1
        at_once = self._open_by_account[account]
        call = Call(
            sequence=len(self.calls) + 1,
            at_once=at_once,
            started=time.monotonic(),
            **facts,
        )
        self.calls.append(call)
        self._open.add(call)
        if awaited := self._arrivals.get(call.id):
            awaited.set()
        self.most = max(self.most, len(self._open))
        self.most_by_account[account] = max(self.most_by_account.get(account, 0), at_once)
        return call

    def close(self, call: Call, outcome: str) -> None:
        """Record how a call ended."""
        call.outcome = outcome
        call.ended = time.monotonic()
        if call in self._open:  # a reset may have come in between
            self._open.remove(call)
            self._open_by_account[call.account] -= 1
        if self._file:
            self._file.write(orjson.dumps(asdict(call)) + b"\n")

    async def arrival(self, call_id: str) -> None:
        """Return once a call with this correlation mark has arrived."""
        if not any(call.id == call_id for call in self.calls):
            await self._arrivals.setdefault(call_id, asyncio.Event()).wait()

    def strike(self, call_id: str) -> int:
        """Count one more fault for a correlation mark; gives how many it has had, this included."""
        self._struck[call_id] += 1
        return self._struck[call_id]

    def report(self) -> dict[str, Any]:
        """The whole log as JSON types."""
        return {"calls": [asdict(call) for call in self.calls], **self.gauges()}

    def gauges(self) -> dict[str, Any]:
        """How many calls came, are open, and were open at once at most."""
        return {
            "received": len(self.calls),
            "open": len(self._open),
            "most_at_once": self.most,
            "most_at_once_by_account": self.most_by_account,
        }
