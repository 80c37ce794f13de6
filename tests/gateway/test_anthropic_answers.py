"""Answers in Anthropic's shape, whole and streamed, out of OpenAI's."""

import json
from collections.abc import Iterable
from typing import Any

import pytest

from gateway.api.anthropic.answers import message_of
from gateway.api.anthropic.asked import Asked
from gateway.api.anthropic.events import MessageEvents
from gateway.errors import StreamCut

THINKING = Asked(shows_thinking=True)
USAGE = {
    "prompt_tokens": 10,
    "completion_tokens": 4,
    "total_tokens": 14,
    "prompt_tokens_details": {"cached_tokens": 3},
}


def whole(
    said: dict[str, Any], finish: str = "stop", asked: Asked = THINKING, **choice: Any
) -> dict[str, Any]:
    choices = [{"index": 0, "message": said, "finish_reason": finish} | choice]
    body = {"id": "chatcmpl-01K", "model": "large", "choices": choices, "usage": USAGE}
    return message_of(body, asked)


def call(arguments: str | None, **fields: Any) -> dict[str, Any]:
    return {"id": "c1", "function": {"name": "weather", "arguments": arguments}} | fields


def streamed(
    deltas: Iterable[dict[str, Any]], finish: str = "stop", asked: Asked = THINKING, **choice: Any
) -> list[dict[str, Any]]:
    """The events of a stream of these deltas; the name of each is its type."""
    events = MessageEvents("req_01K", 10, asked)
    same = {"id": "chatcmpl-01K", "model": "large"}
    choices = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    choices.append({"index": 0, "delta": {}, "finish_reason": finish} | choice)
    written = b"".join(events.chunk(same | {"choices": [one]}) for one in choices)
    written += events.chunk(same | {"choices": [], "usage": USAGE}) + events.end()
    found = []
    for event in written.decode().removesuffix("\n\n").split("\n\n"):
        name, data = event.split("\n")
        found.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {found[-1]['type']}"
    return found


def blocks_of(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the events build, once it is certain that blocks begin and end one after the other."""
    blocks: list[dict[str, Any]] = []
    inputs: dict[int, str] = {}
    is_open = False
    for event in events:
        if event["type"] == "content_block_start":
            assert not is_open
            assert event["index"] == len(blocks)
            is_open = True
            blocks.append(event["content_block"])
        elif event["type"] == "content_block_stop":
            assert is_open
            assert event["index"] == len(blocks) - 1
            is_open = False
        elif event["type"] == "content_block_delta":
            block, delta = blocks[event["index"]], event["delta"]
            if delta["type"] == "input_json_delta":
                inputs[event["index"]] = inputs.get(event["index"], "") + delta["partial_json"]
            else:
                name = delta["type"].removesuffix("_delta")
                block[name] += delta[name]
    assert not is_open
    for index, text in inputs.items():
        blocks[index]["input"] = json.loads(text)
    return blocks


def test_an_answer_is_a_message() -> None:
    assert whole({"role": "assistant", "content": "Hi"}) == {
        "id": "msg_01K",
        "type": "message",
        "role": "assistant",
        "model": "large",
        "content": [{"type": "text", "text": "Hi"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 7,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 3,
            "output_tokens": 4,
        },
    }


@pytest.mark.parametrize("nothing", [None, ""])
def test_an_empty_answer_has_no_blocks(nothing: str | None) -> None:
    assert whole({"content": nothing})["content"] == []


@pytest.mark.parametrize(
    ("finish", "reason"),
    [
        ("stop", "end_turn"),
        ("length", "max_tokens"),
        ("tool_calls", "tool_use"),
        ("content_filter", "refusal"),
        ("something-new", "end_turn"),
    ],
)
def test_why_it_ended_has_its_counterpart(finish: str, reason: str) -> None:
    assert whole({"content": "Hi"}, finish)["stop_reason"] == reason
    assert streamed([{"content": "Hi"}], finish)[-2]["delta"]["stop_reason"] == reason


def test_a_stop_sequence_is_named_where_the_provider_names_it() -> None:
    asked = Asked(stop_sequences=("END",))
    expected = {"stop_reason": "stop_sequence", "stop_sequence": "END"}

    answer = whole({"content": "Hi"}, asked=asked, stop_reason="END")
    assert {name: answer[name] for name in expected} == expected
    assert streamed([{"content": "Hi"}], asked=asked, stop_reason="END")[-2]["delta"] == expected
    # A token's number, and what nobody asked to stop at.
    for other in (128009, "<|eot|>"):
        answer = whole({"content": "Hi"}, asked=asked, stop_reason=other)
        assert answer["stop_reason"] == "end_turn"


def test_what_the_model_declines_is_a_refusal() -> None:
    answer = whole({"content": None, "refusal": "I won't."})
    events = streamed([{"refusal": "I "}, {"refusal": "won't."}])

    assert answer["content"] == blocks_of(events) == [{"type": "text", "text": "I won't."}]
    assert answer["stop_reason"] == events[-2]["delta"]["stop_reason"] == "refusal"


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
def test_reasoning_is_a_block_only_for_whoever_asked(name: str) -> None:
    said = {"content": "Hi", name: "Hm."}
    deltas = [{name: "H"}, {name: "m."}, {"content": "Hi"}]
    thought = {"type": "thinking", "thinking": "Hm.", "signature": ""}

    text = {"type": "text", "text": "Hi"}
    assert whole(said)["content"] == blocks_of(streamed(deltas)) == [thought, text]
    assert whole(said, asked=Asked())["content"] == [text]
    assert blocks_of(streamed(deltas, asked=Asked())) == [text]


def test_calls_are_blocks_with_an_object_each() -> None:
    calls = [call('{"city":"Zürich"}'), call("", id="c2"), call(None, id=None)]
    answer = whole({"content": "Let me see.", "tool_calls": calls}, "stop")

    assert answer["stop_reason"] == "tool_use"  # as some providers don't say
    assert answer["content"] == [
        {"type": "text", "text": "Let me see."},
        {"type": "tool_use", "id": "c1", "name": "weather", "input": {"city": "Zürich"}},
        {"type": "tool_use", "id": "c2", "name": "weather", "input": {}},
        {"type": "tool_use", "id": "toolu_01K_2", "name": "weather", "input": {}},
    ]


@pytest.mark.parametrize("arguments", ['{"city', "[1]", "null"])
def test_what_is_no_object_is_wrapped(arguments: str) -> None:
    [block] = whole({"content": None, "tool_calls": [call(arguments)]})["content"]

    assert block["input"] == {"INVALID_JSON": arguments}


def test_an_upgrade_prompt_stays_beside_it() -> None:
    body = {"id": "chatcmpl-1", "model": "m", "usage": USAGE, "scalix": {"upgrade_prompt": {}}}
    body["choices"] = [{"message": {"content": "Hi"}, "finish_reason": "stop"}]

    assert message_of(body, Asked())["scalix"] == {"upgrade_prompt": {}}


def test_a_stream_begins_and_ends_as_anthropic_s_do() -> None:
    events = streamed([{"role": "assistant", "content": ""}, {"content": "H"}, {"content": "für"}])

    assert [event["type"] for event in events] == [
        "message_start",
        "ping",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    message = events[0]["message"]
    assert (message["id"], message["model"], message["content"]) == ("msg_01K", "large", [])
    assert (message["usage"]["input_tokens"], message["usage"]["output_tokens"]) == (10, 0)
    assert blocks_of(events) == [{"type": "text", "text": "Hfür"}]
    assert events[-2]["usage"] == {
        "input_tokens": 7,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 3,
        "output_tokens": 4,
    }


def test_a_stream_that_says_nothing_has_no_blocks() -> None:
    events = streamed([{"role": "assistant", "content": ""}])

    kinds = [event["type"] for event in events]
    assert kinds == ["message_start", "ping", "message_delta", "message_stop"]


@pytest.mark.parametrize("second", [{"index": 1}, {"index": 0}, {}])
def test_calls_stream_piece_by_piece_one_after_the_other(second: dict[str, int]) -> None:
    """Also from a provider that gives all its calls one number, or none."""
    deltas = [
        {"content": "Let me see."},
        {"tool_calls": [call("", index=0)]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"city":'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '"Zürich"}'}}]},
        {"tool_calls": [call('{"a":1}', id="c2") | second]},
    ]
    events = streamed(deltas, "tool_calls")

    assert blocks_of(events) == [
        {"type": "text", "text": "Let me see."},
        {"type": "tool_use", "id": "c1", "name": "weather", "input": {"city": "Zürich"}},
        {"type": "tool_use", "id": "c2", "name": "weather", "input": {"a": 1}},
    ]
    assert events[-2]["delta"]["stop_reason"] == "tool_use"


def test_a_piece_that_comes_late_still_goes_to_its_call() -> None:
    deltas = [
        {"tool_calls": [call('{"a":', index=0), call('{"b":', index=1, id="c2")]},
        {"tool_calls": [{"index": 0, "function": {"arguments": "1}"}}]},
        {"tool_calls": [{"index": 1, "function": {"arguments": "2}"}}]},
    ]

    inputs = [block["input"] for block in blocks_of(streamed(deltas, "tool_calls"))]
    assert inputs == [{"a": 1}, {"b": 2}]


def test_text_after_a_call_is_a_block_of_its_own() -> None:
    deltas = [{"content": "A"}, {"tool_calls": [call("{}", index=0)]}, {"content": "B"}]

    kinds = [block["type"] for block in blocks_of(streamed(deltas, "tool_calls"))]
    assert kinds == ["text", "tool_use", "text"]


def test_a_stream_that_is_cut_ends_in_an_error_event() -> None:
    name, data = (
        MessageEvents("req_01K", 10, Asked()).error(StreamCut("Cut.")).decode().split("\n", 1)
    )

    said = json.loads(data.removeprefix("data: "))
    assert name == "event: error"
    assert (said["type"], said["request_id"]) == ("error", "req_01K")
    assert (said["error"]["type"], said["error"]["code"]) == ("api_error", "stream_cut")
