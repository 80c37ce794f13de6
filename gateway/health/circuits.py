"""Circuits: a deployment that fails is tried last until a probe proves that it answers again.

Each process judges by what it sees itself, so nothing has to be shared for the next request to be
spared.  What counts is who is at fault: a provider that is down, slow, rate-limiting, talks rubbish
or cuts its streams has failed; a caller's mistake or hang-up says nothing about it.

Closed, a circuit opens when enough of the last seconds' answers were failures.  Open, it waits,
each time longer; then it is half open: a probe of ours goes, and no caller's request.  One that
succeeds closes it.
"""

import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

logger = logging.getLogger(__name__)

WINDOW_SECONDS: Final = 10
FEWEST_FAILURES: Final = 5
FEWEST_CUTS: Final = 2
"""Of streams that broke off: no other provider can make up for those."""
_OPENS_AT: Final = 0.5  # of the window's answers
_FIRST_PAUSE: Final = 5.0
LONGEST_PAUSE: Final = 30.0
"""Seconds between two probes of a deployment that stays away, at most."""

_REMEMBERED_SECONDS: Final = 60.0
_GOOD: Final = "completed"  # a stream that has begun is judged when it ends
_PROVIDERS_FAULT: Final = "provider_"


def judged(outcome: str) -> bool | None:
    """Whether an attempt that came to this speaks for its deployment; None: it says nothing."""
    if outcome == _GOOD:
        return True
    return False if outcome.startswith(_PROVIDERS_FAULT) else None


@dataclass(slots=True)
class _Second:
    """What came in one second."""

    at: int
    good: int = 0
    bad: int = 0


@dataclass(slots=True)
class _Circuit:
    """One deployment's, with its last answers second by second."""

    seconds: deque[_Second] = field(default_factory=deque)
    pause: float = 0.0  # of an open circuit; 0: it is closed
    opened_at: float = 0.0
    probe_at: float = 0.0

    def note(self, now: float, *, good: bool) -> None:
        """Counts an answer, and drops those that are too old to count."""
        if not self.seconds or self.seconds[-1].at != int(now):
            self.seconds.append(_Second(int(now)))
        if good:
            self.seconds[-1].good += 1
        else:
            self.seconds[-1].bad += 1
        while self.seconds[0].at < int(now) - WINDOW_SECONDS:
            self.seconds.popleft()

    @property
    def good(self) -> int:
        return sum(second.good for second in self.seconds)

    @property
    def bad(self) -> int:
        return sum(second.bad for second in self.seconds)


class Line(NamedTuple):
    """What a circuit is of: all of a deployment's answers, or how its streams end.

    One that cuts its streams may well give whole answers; then only streams are sent elsewhere.
    """

    deployment: str
    streams: bool = False

    @property
    def fewest(self) -> int:
        """The failures that it takes to open."""
        return FEWEST_CUTS if self.streams else FEWEST_FAILURES

    def __str__(self) -> str:
        return f"{self.deployment}, streams" if self.streams else self.deployment


class Circuits:
    """The circuits of all deployments as this process sees them."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._circuits: dict[Line, _Circuit] = {}
        self._closed: dict[Line, tuple[float, float]] = {}  # the last pause, and since when

    def saw(self, deployment: str, outcome: str, *, ended: bool = False) -> None:
        """Notes what an attempt came to; may open a circuit of its deployment.

        `ended`: it is how a stream ended that had begun.
        """
        good = judged(outcome)
        if good is None:
            return
        if ended:
            self._note(Line(deployment, streams=True), outcome, good=good)
        if good or not ended:
            self._note(Line(deployment), outcome, good=good)

    def is_open(self, deployment: str, *, stream: bool = False) -> bool:
        """Whether callers' requests, or streams, should rather go elsewhere."""
        if not self._circuits:
            return False
        return self._is_open(Line(deployment)) or (
            stream and self._is_open(Line(deployment, streams=True))
        )

    def open_seconds(self) -> dict[str, float]:
        """The deployments with an open one, and for how long it has been."""
        now, longest = self._now(), dict[str, float]()
        for line, one in self._circuits.items():
            if one.pause:
                known = longest.get(line.deployment, 0.0)
                longest[line.deployment] = max(known, now - one.opened_at)
        return longest

    def to_probe(self, spared: Callable[[str], bool] = lambda _: False) -> list[Line]:
        """The open ones whose pause is over; each is given once, until `probed` is told.

        But those whose deployments are to be `spared` for now: their turn comes later.
        """
        now = self._now()
        due = [
            line
            for line, one in self._circuits.items()
            if one.pause and one.probe_at <= now and not spared(line.deployment)
        ]
        for line in due:
            self._circuits[line].probe_at = float("inf")
        return due

    def probed(self, line: Line, *, succeeded: bool) -> None:
        """Closes the circuit, or has it wait twice as long for the next probe."""
        circuit = self._circuits.get(line)
        if circuit is None:
            return
        if succeeded:
            del self._circuits[line]
            self._closed[line] = (circuit.pause, self._now())
            logger.warning("circuit of %s closed: a probe was answered", line)
            return
        circuit.pause = min(2 * circuit.pause, LONGEST_PAUSE)
        circuit.probe_at = self._now() + circuit.pause

    def forget(self, deployment: str) -> None:
        """Drops what is known of a deployment that is no longer in the catalogue."""
        for line in (Line(deployment), Line(deployment, streams=True)):
            self._circuits.pop(line, None)
            self._closed.pop(line, None)

    def _is_open(self, line: Line) -> bool:
        circuit = self._circuits.get(line)
        return circuit is not None and circuit.pause > 0

    def _note(self, line: Line, outcome: str, *, good: bool) -> None:
        circuit = self._circuits.get(line)
        if circuit is None:
            if good:  # nothing bad is known of it: the usual case keeps no record
                return
            circuit = self._circuits[line] = _Circuit()
        if circuit.pause:
            return  # what was sent before it opened, or when nothing else was left
        now = self._now()
        circuit.note(now, good=good)
        bad, all_answers = circuit.bad, circuit.bad + circuit.good
        if bad == 0:
            del self._circuits[line]
        elif bad >= line.fewest and bad >= _OPENS_AT * all_answers:
            circuit.pause = self._pause_of(line, now)
            circuit.opened_at, circuit.probe_at = now, now + circuit.pause
            logger.warning(
                "circuit of %s opened: %d of %d answers failed in %d s, the last with %s",
                *(line, bad, all_answers, WINDOW_SECONDS, outcome),
            )

    def _pause_of(self, line: Line, now: float) -> float:
        """The first pause; longer where a probe has closed it a moment ago, and was mistaken."""
        pause, closed_at = self._closed.pop(line, (0.0, -_REMEMBERED_SECONDS))
        if now - closed_at >= _REMEMBERED_SECONDS:
            return _FIRST_PAUSE
        return min(2 * pause, LONGEST_PAUSE)
