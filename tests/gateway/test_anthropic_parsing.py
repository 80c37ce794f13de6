"""From an Anthropic body's bytes to a checked request in OpenAI's terms."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.api.anthropic.asked import asked_by
from gateway.api.anthropic.parsing import parse_messages, parse_prompt
from gateway.api.anthropic.translation import chat_request
from gateway.errors import InvalidRequest
from gateway.types import ChatRequest

HELLO = {"role": "user", "content": "Hello"}
TOOL = {
    "name": "weather",
    "description": "Tells the weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}
PIXEL = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
CACHED = {"cache_control": {"type": "ephemeral"}}


def encoded(**fields: Any) -> bytes:
    return json.dumps({"model": "m", "max_tokens": 9, "messages": [HELLO]} | fields).encode()


def parsed(**fields: Any) -> ChatRequest:
    return chat_request(parse_messages(encoded(**fields)))


def said(*messages: dict[str, Any]) -> list[dict[str, Any]]:
    return list(parsed(messages=list(messages)).messages)


def refused(**fields: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        parsed(**fields)
    return caught.value


def test_the_least_there_can_be() -> None:
    assert parsed() == ChatRequest("m", (HELLO,), max_tokens=9)


def test_a_stream_always_asks_for_usage() -> None:
    request = parsed(stream=True)

    assert (request.stream, request.include_usage) == (True, True)


def test_every_field_that_a_provider_takes_goes_under_openai_s_name() -> None:
    request = parsed(
        temperature=0.5,
        top_p=0.9,
        stop_sequences=["END"],
        tools=[TOOL | CACHED | {"type": "custom", "strict": True}],
        tool_choice={"type": "auto", "disable_parallel_tool_use": True},
        thinking={"type": "enabled", "budget_tokens": 2048},
    )

    function = {
        "name": "weather",
        "description": "Tells the weather",
        "parameters": TOOL["input_schema"],
        "strict": True,
    }
    assert request.parameters == {
        "temperature": 0.5,
        "top_p": 0.9,
        "stop": ["END"],
        "tools": [{"type": "function", "function": function}],
        "tool_choice": "auto",
        "parallel_tool_calls": False,
        "reasoning_effort": "medium",
    }


def test_what_is_of_use_to_nobody_is_taken_and_not_handed_on() -> None:
    request = parsed(
        top_k=5,
        metadata={"user_id": "u-1"},
        service_tier="auto",
        thinking={"type": "disabled"},
        stop_sequences=[],
        tools=[],
        **CACHED,
    )

    assert request == parsed()


def test_nulls_count_as_absent() -> None:
    names = ("system", "temperature", "top_p", "top_k", "stop_sequences", "tools", "tool_choice")

    assert parsed(**dict.fromkeys((*names, "metadata", "thinking", "stream"))) == parsed()


@pytest.mark.parametrize(
    ("choice", "handed_on"),
    [
        ({"type": "auto"}, {"tool_choice": "auto"}),
        ({"type": "any"}, {"tool_choice": "required"}),
        ({"type": "none"}, {"tool_choice": "none"}),
        (
            {"type": "tool", "name": "weather", "disable_parallel_tool_use": True},
            {
                "tool_choice": {"type": "function", "function": {"name": "weather"}},
                "parallel_tool_calls": False,
            },
        ),
    ],
)
def test_a_choice_of_tools_has_its_counterpart(
    choice: dict[str, Any], handed_on: dict[str, Any]
) -> None:
    parameters = parsed(tools=[TOOL], tool_choice=choice).parameters or {}

    assert {name: parameters[name] for name in parameters if name != "tools"} == handed_on


@pytest.mark.parametrize(
    ("fields", "effort"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "low"),
        ({"thinking": {"type": "enabled", "budget_tokens": 4096}}, "high"),
        ({"thinking": {"type": "adaptive"}}, None),
        ({"output_config": {"effort": "max"}}, "high"),
        (
            {
                "thinking": {"type": "enabled", "budget_tokens": 9000},
                "output_config": {"effort": "low"},
            },
            "low",
        ),
    ],
)
def test_thinking_becomes_an_effort(fields: dict[str, Any], effort: str | None) -> None:
    assert (parsed(**fields).parameters or {}).get("reasoning_effort") == effort


def test_an_output_format_becomes_a_response_format() -> None:
    schema = {"type": "object"}
    request = parsed(output_config={"format": {"type": "json_schema", "schema": schema}})

    assert request.parameters == {
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "output", "schema": schema, "strict": True},
        }
    }


def test_thinking_is_shown_where_it_was_asked_for() -> None:
    def shows(**fields: Any) -> bool:
        return asked_by(parse_messages(encoded(**fields))).shows_thinking

    assert not shows()
    assert not shows(thinking={"type": "disabled"})
    assert not shows(thinking={"type": "adaptive", "display": "omitted"})
    assert shows(thinking={"type": "adaptive"})
    assert shows(thinking={"type": "enabled", "budget_tokens": 1024})


@pytest.mark.parametrize(
    "system", ["Be brief.\n\nBe kind.", [{"type": "text", "text": "Be brief."} | CACHED,
                                         {"type": "text", "text": "Be kind."}]],
    ids=["text", "blocks"],
)  # fmt: skip
def test_the_system_prompt_is_the_first_message(system: Any) -> None:
    assert parsed(system=system).messages == (
        {"role": "system", "content": "Be brief.\n\nBe kind."},
        HELLO,
    )


def test_text_in_blocks_is_text() -> None:
    blocks = [{"type": "text", "text": "für"} | CACHED]

    assert said({"role": "user", "content": blocks}) == [{"role": "user", "content": "für"}]


def test_images_stay_where_they_are_among_the_text() -> None:
    blocks = [
        {"type": "image", "source": PIXEL},
        {"type": "text", "text": "And this?"},
        {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}} | CACHED,
    ]

    [message] = said({"role": "user", "content": blocks})
    assert message["content"] == [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
        {"type": "text", "text": "And this?"},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
    ]


def test_a_call_and_its_results_go_back_and_forth() -> None:
    calls = [
        {"type": "thinking", "thinking": "Hm.", "signature": "s"},
        {"type": "redacted_thinking", "data": "x"},
        {"type": "text", "text": "I'll look.", "citations": None},
        {"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "Zürich"}},
        {"type": "tool_use", "id": "t2", "name": "weather", "input": {}, "caller": None},
    ]
    results = [
        {"type": "text", "text": "There you are."},
        {"type": "tool_result", "tool_use_id": "t1", "content": "Sunny"},
        {"type": "tool_result", "tool_use_id": "t2", "is_error": True,
         "content": [{"type": "text", "text": "No city"}, {"type": "image", "source": PIXEL}]},
        {"type": "tool_result", "tool_use_id": "t3"},
    ]  # fmt: skip

    assert said({"role": "assistant", "content": calls}, {"role": "user", "content": results}) == [
        {
            "role": "assistant",
            "content": "I'll look.",
            "tool_calls": [
                {
                    "id": "t1",
                    "type": "function",
                    "function": {"name": "weather", "arguments": '{"city":"Zürich"}'},
                },
                {
                    "id": "t2",
                    "type": "function",
                    "function": {"name": "weather", "arguments": "{}"},
                },
            ],
        },
        {"role": "tool", "content": "Sunny", "tool_call_id": "t1"},
        {"role": "tool", "content": "Error: No city", "tool_call_id": "t2"},
        {"role": "tool", "content": "", "tool_call_id": "t3"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "There you are."},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
            ],
        },
    ]


def test_results_alone_are_followed_by_nobody() -> None:
    results = [{"type": "tool_result", "tool_use_id": "t1", "content": "Sunny"}]

    assert [message["role"] for message in said({"role": "user", "content": results})] == ["tool"]


def test_a_message_that_only_thought_says_nothing() -> None:
    thought = [{"type": "thinking", "thinking": "Hm.", "signature": ""}]

    assert said({"role": "assistant", "content": thought}) == [{"role": "assistant", "content": ""}]


@pytest.mark.parametrize(
    ("fields", "param", "in_message"),
    [
        ({"max_tokens": None}, "max_tokens", "int"),
        ({"max_tokens": 0}, "max_tokens", ">= 1"),
        ({"n": 2}, "n", "unknown field `n`"),
        ({"api_base": "http://evil"}, "api_base", "unknown field"),
        ({"temperature": 1.5}, "temperature", "<= 1"),
        ({"messages": []}, "messages", "length >= 1"),
        ({"messages": [{"role": "tool", "content": ""}]}, "messages[0].role", "'tool'"),
        (
            {"messages": [{"role": "user", "content": [{"type": "document", "source": {}}]}]},
            "messages[0].content[0].type",
            "'document'",
        ),
        (
            {"messages": [HELLO | {"content": [{"type": "text", "text": "a", "x": 1}]}]},
            "messages[0].content[0]",
            "`x`",
        ),
        (
            {"messages": [HELLO | {"content": [{"type": "tool_use", "id": "a"}]}]},
            "messages[0].content[0].type",
            "'tool_use'",
        ),
        (
            {"messages": [HELLO | {"content": [
                {"type": "image", "source": {"type": "file", "file_id": "f"}}]}]},
            "messages[0].content[0].source.type",
            "'file'",
        ),
        (
            {"tools": [TOOL, {"type": "web_search_20250305", "name": "web_search", "max_uses": 5}]},
            "tools[1].type",
            "'web_search' (web_search_20250305)",
        ),
        ({"tools": [{"name": "weather"}]}, "tools[0]", "input_schema"),
        ({"tools": [TOOL | {"colour": "red"}]}, "tools[0]", "`colour`"),
        ({"tool_choice": {"type": "any"}}, "tool_choice", "without any `tools`"),
        ({"tools": [TOOL], "tool_choice": {"type": "some"}}, "tool_choice.type", "'some'"),
        ({"metadata": {"account": 1}}, "metadata", "`account`"),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 9}},
            "thinking.budget_tokens",
            ">= 1024",
        ),
        ({"service_tier": "gold"}, "service_tier", "'gold'"),
    ],
)  # fmt: skip
def test_a_mistake_is_named(fields: dict[str, Any], param: str, in_message: str) -> None:
    error = refused(**fields)

    assert error.param == param
    assert in_message in error.message


def test_a_maximum_is_required() -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_messages(json.dumps({"model": "m", "messages": [HELLO]}).encode())

    assert caught.value.param == "max_tokens"


@pytest.mark.parametrize("depth", [300, 900])
def test_what_could_not_be_written_again_is_refused(depth: int) -> None:
    nested: Any = "leaf"
    for _ in range(depth):
        nested = {"properties": nested}
    call = {"type": "tool_use", "id": "t", "name": "f", "input": {"a": nested}}

    assert refused(tools=[TOOL | {"input_schema": {"a": nested}}])
    assert refused(messages=[{"role": "assistant", "content": [call]}])


def test_counting_takes_what_a_model_reads_and_no_more() -> None:
    body = {"model": "m", "messages": [HELLO], "system": "Be brief.", "tools": [TOOL]}
    request = chat_request(parse_prompt(json.dumps(body).encode()))

    assert [message["role"] for message in request.messages] == ["system", "user"]
    assert "weather" in "".join(request.prompt_texts())
    with pytest.raises(InvalidRequest, match="max_tokens"):
        parse_prompt(encoded())


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
_names = ("messages", "system", "tools", "tool_choice", "thinking", "metadata", "stop_sequences")


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(_names) | st.text(max_size=5), _json, max_size=3))
def test_whatever_json_comes_it_is_a_request_or_a_mistake(fields: dict[str, Any]) -> None:
    with suppress(InvalidRequest):
        assert isinstance(parsed(**fields), ChatRequest)
