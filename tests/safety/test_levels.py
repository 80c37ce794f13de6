"""How levels rise, last and pass."""

import datetime as dt

import pytest

from gateway.safety.detectors import Finding, Verdict
from gateway.safety.levels import Judge, Standing
from gateway.safety.models import AbuseThresholds

NOW = dt.datetime(2026, 11, 27, 12, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
THRESHOLDS = AbuseThresholds()  # 45, 70, 130; 24, 12 and 24 hours
NOTHING = Verdict()


def at(hours: float = 0) -> Judge:
    return Judge(THRESHOLDS, NOW + hours * HOUR)


def score(points: int) -> Verdict:
    return Verdict((Finding("burst", points, "many"),))


@pytest.mark.parametrize(
    ("points", "level"), [(45, "watch"), (69, "watch"), (70, "throttle"), (130, "block")]
)
def test_a_score_opens_at_its_level(points: int, level: str) -> None:
    standing = at().decide(None, score(points))

    assert standing is not None
    assert (standing.level, standing.score) == (level, points)


def test_a_small_score_opens_nothing() -> None:
    assert at().decide(None, score(44)) is None


def test_who_pays_is_watched_at_most() -> None:
    standing = at().decide(None, score(200), is_pro=True)

    assert standing is not None
    assert standing.level == "watch"
    assert at(1).decide(standing, score(200), is_pro=True) != None  # noqa: E711
    again = at(1).decide(standing, score(200), is_pro=True)
    assert again is not None
    assert again.level == "watch"


def test_a_level_rises_at_once_and_begins_anew() -> None:
    watched = at().decide(None, score(50))
    raised = at(1).decide(watched, score(80))

    assert raised == Standing("throttle", 80, NOW + 13 * HOUR, judged_to=NOW + HOUR)


def test_a_level_does_not_flap() -> None:
    """Scores that hover around the threshold change nothing until the time is over."""
    standing = at().decide(None, score(70))
    for minute in range(1, 600):
        judge = at(minute / 60)
        assert judge.decide(standing, score(55 if minute % 2 else 10)) is None


def test_without_new_facts_it_is_over_when_it_was_said_to_be() -> None:
    standing = at().decide(None, score(70))

    assert at(11.9).decide(standing, NOTHING) is None
    over = at(12).decide(standing, NOTHING)
    assert over is not None
    assert over.level == "none"


def test_more_of_the_same_prolongs_it() -> None:
    standing = at().decide(None, score(70))
    prolonged = at(5).decide(standing, score(60))  # four fifths are enough

    assert prolonged is not None
    assert (prolonged.level, prolonged.until) == ("throttle", NOW + 17 * HOUR)
    assert prolonged.judged_to == NOW + 5 * HOUR


def test_a_block_passes_by_way_of_a_slowing_down() -> None:
    blocked = at().decide(None, score(140))
    slowed = at(24).decide(blocked, NOTHING)
    assert slowed is not None
    over = at(36).decide(slowed, NOTHING)
    assert over is not None

    assert (slowed.level, slowed.until, over.level) == ("throttle", NOW + 36 * HOUR, "none")


def test_each_repetition_lasts_twice_as_long() -> None:
    third = at().decide(None, score(70), repeats=2)
    hundredth = at().decide(None, score(70), repeats=100)

    assert third is not None
    assert hundredth is not None
    assert third.until == NOW + 48 * HOUR
    assert hundredth.until == NOW + 192 * HOUR


def test_what_staff_confirmed_is_left_to_staff() -> None:
    confirmed = Standing("throttle", 80, None, confirmed=True)

    assert at(1000).decide(confirmed, score(500)) is None
    assert at(1000).decide(confirmed, NOTHING) is None
