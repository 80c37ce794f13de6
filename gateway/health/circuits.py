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
from typing import Final

logger = logging.getLogger(__name__)

WINDOW_SECONDS: Final = 10
FEWEST_FAILURES: Final = 5
_OPENS_AT: Final = 0.5  # of the window's answers
_FIRST_PAUSE: Final = 5.0
LONGEST_PAUSE: Final = 30.0
"""Seconds between two probes of a deployment that stays away, at most."""

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


class Circuits:
    """The circuits of all deployments as this process sees them."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._circuits: dict[str, _Circuit] = {}

    def saw(self, deployment: str, outcome: str) -> None:
        """Notes what an attempt came to; may open the deployment's circuit."""
        good = judged(outcome)
        if good is None:
            return
        circuit = self._circuits.get(deployment)
        if circuit is None:
            if good:  # nothing bad is known of it: the usual case keeps no record
                return
            circuit = self._circuits[deployment] = _Circuit()
        if circuit.pause:
            return  # what was sent before it opened, or when nothing else was left
        now = self._now()
        circuit.note(now, good=good)
        bad, all_answers = circuit.bad, circuit.bad + circuit.good
        if bad == 0:
            del self._circuits[deployment]
        elif bad >= FEWEST_FAILURES and bad >= _OPENS_AT * all_answers:
            circuit.pause, circuit.probe_at = _FIRST_PAUSE, now + _FIRST_PAUSE
            logger.warning(
                "circuit of %s opened: %d of %d answers failed in %d s, the last with %s",
                *(deployment, bad, all_answers, WINDOW_SECONDS, outcome),
            )

    def is_open(self, deployment: str) -> bool:
        """Whether callers' requests should rather go elsewhere."""
        circuit = self._circuits.get(deployment)
        return circuit is not None and circuit.pause > 0

    def to_probe(self) -> list[str]:
        """The open ones whose pause is over; each is given once, until `probed` is told."""
        now = self._now()
        due = [name for name, one in self._circuits.items() if one.pause and one.probe_at <= now]
        for name in due:
            self._circuits[name].probe_at = float("inf")
        return due

    def probed(self, deployment: str, *, succeeded: bool) -> None:
        """Closes the circuit, or has it wait twice as long for the next probe."""
        circuit = self._circuits.get(deployment)
        if circuit is None:
            return
        if succeeded:
            del self._circuits[deployment]
            logger.warning("circuit of %s closed: a probe was answered", deployment)
            return
        circuit.pause = min(2 * circuit.pause, LONGEST_PAUSE)
        circuit.probe_at = self._now() + circuit.pause

    def forget(self, deployment: str) -> None:
        """Drops what is known of a deployment that is no longer in the catalogue."""
        self._circuits.pop(deployment, None)
