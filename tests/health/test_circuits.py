"""A deployment that fails is asked last until a probe proves that it answers again."""

import pytest

from gateway.health.circuits import (
    FEWEST_CUTS,
    FEWEST_FAILURES,
    LONGEST_PAUSE,
    WINDOW_SECONDS,
    Circuits,
    Line,
    judged,
)
from tests.clock import Clock

FAILED = "provider_500"
BAD = Line("bad")
BAD_STREAMS = Line("bad", streams=True)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def circuits(clock: Clock) -> Circuits:
    return Circuits(clock)


def fail(circuits: Circuits, times: int = FEWEST_FAILURES, name: str = "bad") -> None:
    for _ in range(times):
        circuits.saw(name, FAILED)


def test_it_opens_at_the_fifth_failure_and_no_sooner(circuits: Circuits) -> None:
    fail(circuits, FEWEST_FAILURES - 1)
    assert not circuits.is_open("bad")
    fail(circuits, 1)
    assert circuits.is_open("bad")
    assert not circuits.is_open("good")


def test_failures_among_more_good_answers_leave_it_closed(circuits: Circuits) -> None:
    for _ in range(100):
        circuits.saw("bad", FAILED)
        circuits.saw("bad", "completed")
        circuits.saw("bad", "completed")
        if circuits.is_open("bad"):
            pytest.fail("a third of its answers failed, and it opened")


def test_half_of_the_answers_are_enough(circuits: Circuits) -> None:
    for _ in range(FEWEST_FAILURES - 1):
        circuits.saw("bad", FAILED)
        circuits.saw("bad", "completed")
    assert not circuits.is_open("bad")
    circuits.saw("bad", FAILED)
    assert circuits.is_open("bad")


def test_failures_that_are_spread_thinly_are_forgotten(circuits: Circuits, clock: Clock) -> None:
    for _ in range(3 * FEWEST_FAILURES):
        fail(circuits, 1)
        clock.now += WINDOW_SECONDS / 3
    assert not circuits.is_open("bad")


@pytest.mark.parametrize(
    ("outcome", "verdict"),
    [
        ("completed", True),
        ("streaming", None),  # it is judged when it ends
        ("provider_timeout", False),
        ("provider_rate_limited", False),
        ("provider_bad_response", False),
        ("provider_misconfigured", False),
        ("invalid_request", None),
        ("request_untranslatable", None),
        ("capacity_taken", None),
        ("client_disconnected", None),
        ("interrupted", None),
        ("server_stopping", None),
    ],
)
def test_only_what_is_the_providers_doing_speaks_against_it(
    outcome: str, verdict: bool | None, circuits: Circuits
) -> None:
    assert judged(outcome) is verdict
    for _ in range(2 * FEWEST_FAILURES):
        circuits.saw("one", outcome)
    assert circuits.is_open("one") is (verdict is False)


def test_an_open_circuit_is_probed_after_its_pause_and_once_at_a_time(
    circuits: Circuits, clock: Clock
) -> None:
    fail(circuits)
    assert circuits.to_probe() == []
    clock.now += 5
    assert circuits.to_probe() == [BAD]
    clock.now += 1_000
    assert circuits.to_probe() == []  # that probe is under way


def test_an_answered_probe_closes_it_and_the_past_is_forgotten(
    circuits: Circuits, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    fail(circuits)
    clock.now += 5
    circuits.to_probe()
    circuits.probed(BAD, succeeded=True)
    assert not circuits.is_open("bad")
    fail(circuits, FEWEST_FAILURES - 1)
    assert not circuits.is_open("bad")
    assert "circuit of bad opened: 5 of 5 answers failed in 10 s" in caplog.text
    assert "circuit of bad closed" in caplog.text


def test_probes_that_fail_come_ever_less_often_and_never_too_seldom(
    circuits: Circuits, clock: Clock
) -> None:
    fail(circuits)
    pauses = []
    for _ in range(6):
        since = clock.now
        while not circuits.to_probe():
            clock.now += 0.5
        pauses.append(clock.now - since)
        circuits.probed(BAD, succeeded=False)
        assert circuits.is_open("bad")
    assert pauses == [5, 10, 20, 30, 30, 30]
    assert max(pauses) == LONGEST_PAUSE


def test_answers_of_requests_that_were_sent_before_do_not_close_it(circuits: Circuits) -> None:
    fail(circuits)
    for _ in range(100):
        circuits.saw("bad", "completed")
    assert circuits.is_open("bad")


def test_what_has_left_the_catalogue_is_forgotten(circuits: Circuits, clock: Clock) -> None:
    fail(circuits)
    circuits.forget("bad")
    clock.now += 5
    assert circuits.to_probe() == []
    circuits.probed(BAD, succeeded=False)
    assert not circuits.is_open("bad")


def test_cut_streams_open_it_for_streams_alone(circuits: Circuits) -> None:
    for _ in range(FEWEST_CUTS):
        assert not circuits.is_open("bad", stream=True)
        circuits.saw("bad", "completed")
        circuits.saw("bad", "provider_unreachable", ended=True)
    assert circuits.is_open("bad", stream=True)
    assert not circuits.is_open("bad")


def test_what_fails_before_a_stream_begins_speaks_against_all(circuits: Circuits) -> None:
    fail(circuits)
    assert circuits.is_open("bad")
    assert circuits.is_open("bad", stream=True)


def test_streams_are_probed_by_streams(circuits: Circuits, clock: Clock) -> None:
    for _ in range(FEWEST_CUTS):
        circuits.saw("bad", "provider_unreachable", ended=True)
    clock.now += LONGEST_PAUSE
    assert circuits.to_probe() == [BAD_STREAMS]
    circuits.probed(BAD_STREAMS, succeeded=True)
    assert not circuits.is_open("bad", stream=True)


def test_one_that_a_probe_has_closed_by_mistake_waits_longer_for_the_next(
    circuits: Circuits, clock: Clock
) -> None:
    pauses = []
    for _ in range(4):
        fail(circuits)
        since = clock.now
        while not circuits.to_probe():
            clock.now += 1
        pauses.append(clock.now - since)
        circuits.probed(BAD, succeeded=True)
    assert pauses == [5, 10, 20, 30]
    clock.now += 60
    fail(circuits)
    clock.now += 5
    assert circuits.to_probe() == [BAD]


def test_whoever_is_to_be_spared_is_probed_later(circuits: Circuits, clock: Clock) -> None:
    fail(circuits)
    clock.now += 5
    assert circuits.to_probe(spared=lambda _: True) == []
    assert circuits.to_probe(spared=lambda name: name != BAD.deployment) == [BAD]
