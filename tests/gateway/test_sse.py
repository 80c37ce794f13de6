"""Server-sent events, read from bytes in any cut."""

import pytest

from gateway.errors import ProviderUnavailable
from gateway.providers.sse import LONGEST_EVENT, EventData


def read(*parts: bytes) -> list[bytes]:
    events = EventData()
    return [data for part in parts for data in events.of(part)]


def test_each_event_gives_its_data() -> None:
    assert read(b"data: one\n\ndata: two\n\n") == [b"one", b"two"]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 64])
def test_the_cut_does_not_matter(size: int) -> None:
    whole = 'data: {"text": "für"}\r\n\r\n: ping\n\ndata: [DONE]\n\n'.encode()
    parts = [whole[start : start + size] for start in range(0, len(whole), size)]

    assert read(*parts) == ['{"text": "für"}'.encode(), b"[DONE]"]


def test_lines_end_in_lf_or_crlf_and_the_space_may_lack() -> None:
    assert read(b"data:one\r\n\r\ndata: two\n\ndata:  three\n\n") == [
        b"one",
        b"two",
        b" three",
    ]


def test_several_data_lines_are_one_event() -> None:
    assert read(b"data: one\ndata:\ndata: two\n\n") == [b"one\n\ntwo"]


def test_comments_other_fields_and_empty_events_are_passed_over() -> None:
    assert read(b": ping\n\nevent: x\nid: 1\nretry: 5\ndata: one\n\n\n\nevent: y\n\n") == [b"one"]


def test_an_event_whose_data_is_empty_is_none() -> None:
    assert read(b"data:\n\ndata: \n\ndata: one\n\n") == [b"one"]


def test_an_event_that_the_end_cuts_off_is_dropped() -> None:
    assert read(b"data: one\n\ndata: tw") == [b"one"]
    assert read(b"data: one\n\ndata: two\n") == [b"one"]


def test_nothing_is_no_event() -> None:
    assert read() == []
    assert read(b"", b"\n", b"") == []


def test_a_line_without_end_is_given_up() -> None:
    piece = b"x" * 65_536

    with pytest.raises(ProviderUnavailable):
        read(b"data: ", *[piece] * (LONGEST_EVENT // len(piece) + 1))


def test_an_event_of_many_lines_is_bounded_as_one_of_one_line_is() -> None:
    line = b"data: " + b"x" * 65_536 + b"\n"

    with pytest.raises(ProviderUnavailable):
        read(*[line] * (LONGEST_EVENT // len(line) + 2))
