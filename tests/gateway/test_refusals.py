"""The words of a refusal, and the forms of a duration."""

import pytest

from billing.metering.usage import Counters, Usage
from billing.plans import Limits
from gateway.refusals import duration, explain, wire_duration

NOON = 1_800_014_400_000  # a UTC midnight's hour boundary, and 12:00:00


def usage(tier: str = "free", *, at_ms: int = NOON, **counters: int) -> Usage:
    limits = Limits(tier, 10, 50, 10_000, 2, None, None, None)
    held = {"hour_requests": 0, "day_requests": 0, "day_tokens": 0, "in_flight": 0} | counters
    return Usage(limits, Counters(at_ms, **held))


def said(state: Usage, limit: str, needed: int = 100) -> str:
    return explain(state, state.state(limit), needed, "https://x/pricing")


def test_the_noon_of_these_tests_is_one() -> None:
    assert f"{usage().counters.at:%H:%M:%S}" == "12:00:00"


def test_a_day_s_requests_are_explained_as_documented() -> None:
    at_ms = NOON + 53 * 60_000 + 20_000  # 40,000 s before midnight

    assert said(usage(at_ms=at_ms, day_requests=50), "requests_per_day") == (
        "Daily free limit reached: 50 of 50 requests. Resets 00:00 UTC (in 11 h 6 min). "
        "Upgrade: https://x/pricing"
    )


def test_an_hour_s_requests_are() -> None:
    assert said(usage(hour_requests=10), "requests_per_hour") == (
        "Hourly free limit reached: 10 of 10 requests. Resets 13:00 UTC (in 1 h). "
        "Upgrade: https://x/pricing"
    )


def test_tokens_that_are_used_up_are() -> None:
    assert said(usage(day_tokens=10_000), "tokens_per_day").startswith(
        "Daily free limit reached: 10,000 of 10,000 tokens. Resets 00:00 UTC (in 12 h)."
    )


def test_tokens_that_do_not_suffice_say_how_many_would() -> None:
    assert "9,950 of 10,000 tokens, and this request needs at least 1,234." in said(
        usage(day_tokens=9_950), "tokens_per_day", needed=1_234
    )


@pytest.mark.parametrize(
    ("most", "running", "words"),
    [
        (1, 1, "runs 1 request at once, and 1 is running"),
        (2, 2, "runs 2 requests at once, and 2 are running"),
    ],
)
def test_requests_at_once_are_to_be_tried_again_in_a_second(
    most: int, running: int, words: str
) -> None:
    limits = Limits("free", None, None, None, most, None, None, None)
    state = Usage(limits, Counters(NOON, 0, 0, 0, running))

    assert said(state, "concurrent_requests") == (f"The free plan {words}. Please try again in 1s.")


@pytest.mark.parametrize(
    ("tier", "advice"),
    [
        ("visitor", " Sign up for more, free: https://x/pricing"),
        ("free", " Upgrade: https://x/pricing"),
        ("pro", ")."),
    ],
)
def test_the_advice_is_for_who_reads_it(tier: str, advice: str) -> None:
    assert said(usage(tier, hour_requests=10), "requests_per_hour").endswith(advice)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (119, "1 min"),
        (3_599, "59 min"),
        (3_600, "1 h"),
        (3_660, "1 h 1 min"),
        (40_000, "11 h 6 min"),
        (86_400, "24 h"),
    ],
)
def test_a_duration_for_people_is_given_in_full_minutes(seconds: int, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "wire"),
    [(0, "0s"), (1, "1s"), (59, "59s"), (60, "1m0s"), (360, "6m0s"), (3_600, "1h0m0s"),
     (40_000, "11h6m40s"), (86_400, "24h0m0s")],
)  # fmt: skip
def test_a_duration_for_programs_is_exact(seconds: int, wire: str) -> None:
    assert wire_duration(seconds) == wire
