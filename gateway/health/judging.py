"""Whether a deployment keeps its place, from how it answered.  Pure: figures in, a verdict out.

A place is lost and regained by different measures, so that quality at the edge moves nothing to
and fro:

* *Lost* by the last five minutes: fewer than 80 % of ten answers or more were good, and in three of
  the minutes some failed; or three callers and a fifth of all waited in vain until the time was
  up, however few there were.  Who fails for a moment has an open circuit for it.
* *Held*, then: two minutes, in which nothing gives it back.
* *On trial*, then: hardly anybody is sent to a deployment that lost its place, so probes have to
  show that it is well.  45 answers, of which one in 33 may fail, give its place back.  When more
  fail it is held again, twice as long each time and half an hour at most.

One look at 45 answers in half an hour, and not one at the last ones every few seconds: else a
provider that fails now and then would be lucky soon.  Nothing that came before the last change
counts.
"""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

LOSES_BELOW: Final = 0.80
FEWEST_TO_LOSE: Final = 10
FEWEST_BAD_MINUTES: Final = 3
FEWEST_TIMEOUTS: Final = 3
FEWEST_TO_REGAIN: Final = 45
MAY_FAIL_ON_TRIAL: Final = 0.03
RECENT: Final = dt.timedelta(minutes=5)
LONGEST_TRIAL: Final = dt.timedelta(minutes=15)
"""Probes that don't come to their number in that time are too old for it."""

FIRST_HOLD: Final = dt.timedelta(minutes=2)
LONGEST_HOLD: Final = dt.timedelta(minutes=30)
_REMEMBERED: Final = dt.timedelta(days=1)
_MOST_DOUBLED: Final = 10


@dataclass(frozen=True, slots=True)
class Answers:
    """What came of one deployment in the minute, or at the moment, that begins with `at`."""

    at: dt.datetime
    succeeded: int = 0
    failed: int = 0
    timeouts: int = 0  # of those that failed


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a deployment stands; `since` the last change, and before that nothing counts."""

    lowered: bool = False
    since: dt.datetime | None = None
    held_until: dt.datetime | None = None  # when its trial begins, or began
    holds: int = 0  # how often it was held within a day or so


@dataclass(frozen=True, slots=True)
class Verdict:
    """Where it stands from now on, and the figures that say why."""

    standing: Standing
    text: str


def judge(
    standing: Standing, answers: Iterable[Answers], probes: Iterable[Answers], now: dt.datetime
) -> Verdict | None:
    """What changes now; None: nothing.  `answers` are callers', by the minute."""
    if not standing.lowered:
        return _lost(standing, answers, now)
    if standing.held_until is not None and now < standing.held_until:
        return None
    return _tried(standing, [*answers, *probes], now)


def _lost(standing: Standing, answers: Iterable[Answers], now: dt.datetime) -> Verdict | None:
    start = _later(now - RECENT, standing.since)
    by_minute = _since(start, answers)
    recent = _sum(start, by_minute)
    count, minutes = recent.succeeded + recent.failed, RECENT.seconds // 60
    keeps_failing = sum(one.failed > 0 for one in by_minute) >= FEWEST_BAD_MINUTES
    if keeps_failing and count >= FEWEST_TO_LOSE and recent.succeeded < LOSES_BELOW * count:
        text = f"{_share(recent)} in {minutes} minutes; under {LOSES_BELOW:.0%}."
    elif recent.timeouts >= FEWEST_TIMEOUTS and recent.timeouts > (1 - LOSES_BELOW) * count:
        text = f"{recent.timeouts} of {count} answers timed out in {minutes} minutes."
    else:
        return None
    remembered = standing.since is not None and now - standing.since < _REMEMBERED
    before = replace(standing, holds=standing.holds if remembered else 0)
    return Verdict(replace(_held(before, now), lowered=True, since=now), text)


def _tried(standing: Standing, answers: list[Answers], now: dt.datetime) -> Verdict | None:
    start = _later(now - LONGEST_TRIAL, standing.held_until)
    trial = _sum(start, _since(start, answers))
    count = trial.succeeded + trial.failed
    if trial.failed > MAY_FAIL_ON_TRIAL * max(count, FEWEST_TO_REGAIN):
        return Verdict(_held(standing, now), f"{_share(trial)} on trial: held again.")
    if count < FEWEST_TO_REGAIN:
        return None
    regained = replace(standing, lowered=False, since=now, held_until=None)
    return Verdict(regained, f"{_share(trial)} on trial, probes included.")


def _held(standing: Standing, now: dt.datetime) -> Standing:
    hold = min(FIRST_HOLD * int(2 ** min(standing.holds, _MOST_DOUBLED)), LONGEST_HOLD)
    return replace(standing, held_until=now + hold, holds=standing.holds + 1)


def _later(moment: dt.datetime, other: dt.datetime | None) -> dt.datetime:
    return moment if other is None else max(moment, other)


def _since(start: dt.datetime, answers: Iterable[Answers]) -> list[Answers]:
    return [one for one in answers if one.at >= start]


def _sum(start: dt.datetime, answers: list[Answers]) -> Answers:
    return Answers(
        start,
        sum(one.succeeded for one in answers),
        sum(one.failed for one in answers),
        sum(one.timeouts for one in answers),
    )


def _share(answers: Answers) -> str:
    count = answers.succeeded + answers.failed
    return f"{answers.succeeded} of {count} answers were good ({answers.succeeded / count:.0%})"
