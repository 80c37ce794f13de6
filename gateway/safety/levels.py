"""From scores to levels over time: what opens, what lasts, what passes.  Pure.

A level is raised at once.  It is never lowered while it lasts, so it doesn't flap; it lasts for a
stated time of normal use, and passes a step at a time.  Requests that have had their effect count
no more, so that what was done before can't prolong it.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Final, Protocol

from gateway.safety.detectors import Verdict
from gateway.safety.models import Level

RANKS: Final = {level.value: rank for rank, level in enumerate(Level)}
_STILL: Final = 0.8  # of a level's threshold: new requests that come to so much prolong it
_MOST_DOUBLINGS: Final = 4
_FEWEST_NEWS: Final = dt.timedelta(minutes=10)  # by which a watch is prolonged at least


class Thresholds(Protocol):
    """What staff set: see the model AbuseThresholds."""

    watch: int
    throttle: int
    block: int
    watch_hours: int
    throttle_hours: int
    block_hours: int


@dataclass(frozen=True, slots=True)
class Standing:
    """How an account or address stands.  `level` none: it is over."""

    level: str
    score: int
    until: dt.datetime | None
    judged_to: dt.datetime | None = None
    confirmed: bool = False

    @property
    def acts(self) -> bool:
        """Whether its level has an effect on requests."""
        return RANKS[self.level] >= RANKS[Level.THROTTLE]


@dataclass(frozen=True, slots=True)
class Judge:
    """Decides by staff's thresholds.  `repeats`: how often it had an effect before, lately."""

    thresholds: Thresholds
    now: dt.datetime

    def decide(
        self,
        standing: Standing | None,
        verdict: Verdict,
        *,
        is_pro: bool = False,
        repeats: int = 0,
    ) -> Standing | None:
        """The new standing; None where it stays as it is."""
        reached = self._level_of(verdict.score)
        if is_pro and RANKS[reached] > RANKS[Level.WATCH]:
            reached = Level.WATCH  # who pays is slowed down by staff alone
        if standing is None:
            if reached == Level.NONE:
                return None
            return self._at(reached, verdict.score, repeats)
        if standing.confirmed:
            return None
        if RANKS[reached] > RANKS[standing.level]:
            return self._at(reached, verdict.score, repeats)
        if standing.until is not None and standing.until <= self.now:
            return self._step_down(standing)
        return self._prolonged(standing, verdict.score, repeats)

    def _level_of(self, score: int) -> str:
        if score >= self.thresholds.block:
            return Level.BLOCK
        if score >= self.thresholds.throttle:
            return Level.THROTTLE
        return Level.WATCH if score >= self.thresholds.watch else Level.NONE

    def _at(self, level: str, score: int, repeats: int) -> Standing:
        hours: int = getattr(self.thresholds, f"{level}_hours")
        if level != Level.WATCH:
            hours *= 2 ** min(repeats, _MOST_DOUBLINGS)
        until = self.now + dt.timedelta(hours=hours)
        return Standing(level, score, until, None if level == Level.WATCH else self.now)

    def _prolonged(self, standing: Standing, score: int, repeats: int) -> Standing | None:
        threshold: int = getattr(self.thresholds, standing.level)
        if score < _STILL * threshold:
            return None
        again = self._at(standing.level, max(score, standing.score), repeats)
        assert again.until is not None
        if standing.until is not None and again.until - standing.until < _FEWEST_NEWS:
            return None
        return again

    def _step_down(self, standing: Standing) -> Standing:
        if standing.level == Level.BLOCK:
            return self._at(Level.THROTTLE, standing.score, 0)
        return Standing(Level.NONE, standing.score, standing.until, standing.judged_to)
