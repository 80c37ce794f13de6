"""Identifiers that sort by time, and their form on the wire."""

import datetime as dt
import time
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.identifiers import decode, encode, uuid7, uuid7_floor

MOMENT = dt.datetime(2026, 11, 22, 1, 2, 3, 456_000, dt.UTC)
MOMENT_MS = 1_795_309_323_456


def test_it_is_a_uuid_of_version_7_with_the_time_in_front() -> None:
    value = uuid7(MOMENT_MS)
    assert (value.version, value.variant) == (7, uuid.RFC_4122)
    assert value.int >> 80 == MOMENT_MS


def test_without_a_time_it_carries_the_present() -> None:
    before = time.time_ns() // 1_000_000
    value = uuid7()
    assert before <= value.int >> 80 <= time.time_ns() // 1_000_000


def test_two_of_the_same_millisecond_differ() -> None:
    assert len({uuid7(MOMENT_MS) for _ in range(1_000)}) == 1_000


def test_they_sort_by_time() -> None:
    values = [uuid7(MOMENT_MS + n) for n in range(100)]
    assert sorted(values) == values
    assert sorted(values, key=str) == values


@given(st.datetimes(timezones=st.just(dt.UTC)).filter(lambda moment: 1970 < moment.year < 2200))
def test_the_floor_is_the_lowest_of_its_millisecond(moment: dt.datetime) -> None:
    whole = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    milliseconds = (whole - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(milliseconds=1)
    assert uuid7_floor(moment) <= uuid7(milliseconds)
    assert uuid7(milliseconds - 1) < uuid7_floor(moment)


@given(st.uuids())
def test_the_wire_form_is_read_back(value: uuid.UUID) -> None:
    text = encode("req", value)
    assert len(text) == len("req_") + 26
    assert decode("req", text) == value
    assert decode("req", "req_" + text[4:].lower()) == value


def test_the_wire_form_sorts_as_the_ids_do() -> None:
    values = [uuid7(MOMENT_MS + n * 1_000_003) for n in range(100)]
    assert sorted(values, key=lambda value: encode("req", value)) == values


@pytest.mark.parametrize(
    "text",
    [
        "",
        "req_",
        "vis_" + "0" * 26,
        "req_" + "0" * 25,
        "req_" + "0" * 27,
        "req_" + "U" * 26,
        "req_8" + "0" * 25,
        "req_00ß" + "0" * 23,
        "req-" + "0" * 26,
        str(uuid.UUID(int=0)),
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="identifier"):
        decode("req", text)
