"""Many events make few incidents, each with a beginning, an end and words fit for anybody."""

import datetime as dt
import uuid

from gateway.health.incidents import Event, incidents_of

START = dt.datetime(2026, 11, 27, 12, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)
FIRST, SECOND = uuid.UUID(int=1), uuid.UUID(int=2)


def event(
    minute: int, kind: str, deployment: str = "one", process: uuid.UUID | None = None
) -> Event:
    return Event(START + minute * MINUTE, deployment, kind, process)


def times(*events: Event) -> list[tuple[str, int, int | None]]:
    """Each incident's deployment, and the minutes in which it began and ended."""
    return [
        (one.deployment, (one.began - START) // MINUTE, one.ended and (one.ended - START) // MINUTE)
        for one in incidents_of(events)
    ]


def test_an_incident_lasts_from_the_first_that_begins_to_the_last_that_ends() -> None:
    found = incidents_of(
        [
            event(9, "raised"),
            event(0, "circuit_opened", process=FIRST),
            event(1, "circuit_opened", process=SECOND),
            event(2, "lowered"),
            event(3, "circuit_closed", process=FIRST),
            event(4, "circuit_closed", process=SECOND),
        ]
    )
    (incident,) = found
    assert (incident.began, incident.ended) == (START, START + 9 * MINUTE)
    assert incident.lasted == "9 minutes"
    assert incident.text.startswith("It kept failing; others were asked first. Too many")
    assert incident.name == "one-20261127120000"


def test_what_is_not_over_has_no_end() -> None:
    assert times(event(0, "probe_failed"), event(1, "lowered"), event(2, "raised")) == [
        ("one", 0, None)
    ]


def test_what_begins_again_within_ten_minutes_is_the_same_incident() -> None:
    again = [event(0, "lowered"), event(5, "raised"), event(14, "lowered"), event(20, "reset")]
    assert times(*again) == [("one", 0, 20)]
    later = [event(0, "lowered"), event(5, "raised"), event(16, "lowered"), event(20, "raised")]
    assert times(*later) == [("one", 16, 20), ("one", 0, 5)]


def test_deployments_have_incidents_of_their_own_and_the_latest_is_first() -> None:
    events = [event(0, "lowered"), event(1, "probe_failed", "two"), event(2, "raised")]
    assert times(*events) == [("two", 1, None), ("one", 0, 2)]


def test_an_end_whose_beginning_is_too_long_ago_says_nothing() -> None:
    assert times(event(0, "raised"), event(1, "held"), event(2, "probe_answered")) == []


def test_how_long_it_lasted_is_said_in_hours_too() -> None:
    lasted = [
        incidents_of([event(0, "lowered"), event(minutes, "raised")])[0].lasted
        for minutes in (0, 1, 59, 60, 135)
    ]
    assert lasted == ["1 minute", "1 minute", "59 minutes", "1 h", "2 h 15 min"]
