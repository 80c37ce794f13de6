"""Limits in words and bars: which leads, when it is tight, and what is left."""

import pytest

from billing.metering.usage import Counters, Usage
from billing.plans import Limits
from gateway.pages.limits import Gauge, gauges, nothing_used, tries, warning

FREE = Limits("free", 10, 50, 10_000, 2, 32_000, 10_000, 1_000)
PRO = Limits("pro", None, None, None, 20, None, None, None)
NOON_MS = 1_795_262_400_000


def used(hour: int = 0, day: int = 0, tokens: int = 0, running: int = 0) -> Usage:
    """A free account's usage at noon."""
    return Usage(FREE, Counters(NOON_MS, hour, day, tokens, running))


def test_the_fullest_window_leads_and_the_others_follow() -> None:
    lead, others = gauges(used(hour=3, day=41, tokens=8_412))

    assert lead.title == "Tokens today"
    assert [gauge.title for gauge in others] == ["Requests today", "Requests this hour", "At once"]


@pytest.mark.parametrize(
    ("requests", "tone"),
    [(0, ""), (39, ""), (40, "warn"), (49, "warn"), (50, "bad"), (51, "bad")],
)
def test_a_limit_is_tight_from_80_per_cent_and_used_up_at_its_end(requests: int, tone: str) -> None:
    assert Gauge(used(day=requests).requests_per_day).tone == tone


@pytest.mark.parametrize(("requests", "zone"), [(39, "low"), (40, "middle"), (50, "high")])
def test_the_meters_zones_are_the_tones(requests: int, zone: str) -> None:
    gauge = Gauge(used(day=requests).requests_per_day)

    assert zone == (
        "low" if requests <= gauge.low else "middle" if requests <= gauge.high else "high"
    )


def test_running_as_many_requests_as_allowed_is_no_alarm() -> None:
    gauge = Gauge(used(running=2).concurrent_requests)

    assert gauge.tone == ""
    assert gauge.low == gauge.high == 2


def test_below_80_per_cent_and_with_requests_left_nobody_is_warned() -> None:
    assert warning(used(hour=4, day=39, tokens=7_999), 200) is None


def test_the_warning_says_how_many_requests_are_left_at_the_average() -> None:
    told = warning(used(day=20, tokens=8_400), 228)

    assert told is not None
    assert told.title == "You have used 84 % of today’s tokens."
    assert told.requests_more == 7
    assert not told.used_up


def test_without_an_average_the_warning_promises_no_number() -> None:
    told = warning(used(tokens=8_400), None)

    assert told is not None
    assert told.requests_more is None


def test_used_up_is_said_with_the_whole_figure() -> None:
    told = warning(used(hour=10), 100)

    assert told is not None
    assert told.used_up
    assert told.title == "You have used all 10 of this hour’s requests."


def test_a_dismissed_warning_comes_back_with_the_next_window() -> None:
    today = warning(used(day=45), None)
    tomorrow = warning(Usage(FREE, Counters(NOON_MS + 86_400_000, 0, 45, 0, 0)), None)

    assert today is not None
    assert tomorrow is not None
    assert today.key != tomorrow.key


def test_no_limit_is_never_tight() -> None:
    usage = Usage(PRO, Counters(NOON_MS, 500, 5_000, 5_000_000, 3))
    lead, _ = gauges(usage)

    assert lead.tone == ""
    assert warning(usage, 100) is None
    assert tries(usage) is None


def test_tries_are_what_ends_first() -> None:
    hour = tries(used(hour=8, day=20))
    day = tries(used(hour=2, day=47))

    assert hour is not None
    assert (hour.left, hour.maximum, hour.period) == (2, 10, "this hour")
    assert day is not None
    assert (day.left, day.maximum, day.period) == (3, 50, "today")


def test_without_tokens_there_are_no_tries() -> None:
    left = tries(used(tokens=10_000))

    assert left is not None
    assert (left.left, left.period) == (0, "today")


def test_somebody_new_has_everything() -> None:
    left = tries(nothing_used(FREE))

    assert left is not None
    assert left.left == 10
