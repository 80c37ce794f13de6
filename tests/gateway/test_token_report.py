"""What an answer took: as reported, else counted."""

from typing import Any

import pytest

from gateway.token_report import CompletionReport, StreamReport, reported
from gateway.types import TokenUsage


def completion(*messages: dict[str, Any], usage: Any = None) -> dict[str, Any]:
    return {"choices": [{"message": message} for message in messages], "usage": usage}


def chunk(*deltas: dict[str, Any], usage: Any = None) -> dict[str, Any]:
    return {"choices": [{"delta": delta} for delta in deltas], "usage": usage}


def test_the_provider_s_own_count_is_taken() -> None:
    usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
    details = {"prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 0}}

    assert reported(usage) == TokenUsage(7, 3)
    assert reported(usage | details) == TokenUsage(7, 3, cached_tokens=4)
    assert TokenUsage(7, 3).total == 10


@pytest.mark.parametrize(
    "usage",
    [
        None,
        [],
        "7",
        {},
        {"prompt_tokens": 7},
        {"prompt_tokens": 7, "completion_tokens": None},
        {"prompt_tokens": "7", "completion_tokens": 3},
        {"prompt_tokens": 7.0, "completion_tokens": 3},
        {"prompt_tokens": -7, "completion_tokens": 3},
        {"prompt_tokens": True, "completion_tokens": 3},
        {"prompt_tokens": 2**40, "completion_tokens": 3},
    ],
    ids=str,
)
def test_a_count_that_makes_no_sense_is_none(usage: object) -> None:
    assert reported(usage) is None


@pytest.mark.parametrize("details", [None, [], {}, {"cached_tokens": None}, {"cached_tokens": -1}])
def test_details_that_make_no_sense_cost_nothing(details: object) -> None:
    usage = {"prompt_tokens": 7, "completion_tokens": 3, "prompt_tokens_details": details}

    assert reported(usage) == TokenUsage(7, 3)


def test_without_a_report_a_completion_is_counted_and_its_prompt_is_as_it_was() -> None:
    report = CompletionReport(completion({"content": " quick river"}, {"content": " carries"}))

    assert report.tokens(11) == TokenUsage(11, 3, estimated=True)


def test_a_reported_completion_is_not_counted() -> None:
    usage = {"prompt_tokens": 7, "completion_tokens": 3}
    report = CompletionReport(completion({"content": "a b c d e f"}, usage=usage))

    assert report.tokens(11) == TokenUsage(7, 3)


SAYS_SOMETHING = [
    {"content": "Hi"},
    {"content": [{"type": "text", "text": "Hi"}]},
    {"content": None, "refusal": "No."},
    {"content": "", "reasoning_content": "Hm"},
    {"content": None, "reasoning": "Hm"},
    {"content": None, "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": ""}}]},
    {"content": None, "function_call": {"name": "f", "arguments": "{}"}},
]
SAYS_NOTHING = [
    {},
    {"content": None},
    {"content": ""},
    {"role": "assistant", "content": "", "refusal": None, "tool_calls": []},
]


@pytest.mark.parametrize("message", SAYS_SOMETHING, ids=str)
def test_whatever_a_caller_can_use_is_content(message: dict[str, Any]) -> None:
    assert CompletionReport(completion(message)).says_something
    stream = StreamReport()
    assert stream.saw(chunk(message))
    assert stream.says_something
    assert stream.tokens(0).completion_tokens > 0


@pytest.mark.parametrize("message", SAYS_NOTHING, ids=str)
def test_an_empty_answer_is_none(message: dict[str, Any]) -> None:
    assert not CompletionReport(completion(message)).says_something
    stream = StreamReport()
    assert not stream.saw(chunk(message))
    assert not stream.says_something


def test_reasoning_that_is_sent_under_two_names_counts_once() -> None:
    twice = {"reasoning_content": " quick river", "reasoning": " quick river"}

    assert CompletionReport(completion(twice)).tokens(0).completion_tokens == 2


def test_of_a_stream_s_reports_the_last_that_makes_sense_counts() -> None:
    stream = StreamReport()
    stream.saw(chunk({"content": "Hi"}, usage={"prompt_tokens": 7, "completion_tokens": 1}))
    stream.saw(chunk(usage={"prompt_tokens": 7, "completion_tokens": 2}))
    stream.saw(chunk(usage={"prompt_tokens": "?"}))
    stream.saw(chunk(usage=None))

    assert stream.tokens(11) == TokenUsage(7, 2)


def test_a_stream_so_far_is_counted_over_its_pieces() -> None:
    stream = StreamReport()
    for piece in (" qui", "ck ri", "ver"):
        stream.saw(chunk({"content": piece}))

    assert stream.tokens(5) == TokenUsage(5, 2, estimated=True)
