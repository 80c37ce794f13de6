"""From a body's bytes to a checked request."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.api.parsing import parse_chat, parse_free
from gateway.errors import InvalidRequest
from gateway.types import ChatRequest

HELLO = {"role": "user", "content": "Hello"}


def parsed(**fields: Any) -> ChatRequest:
    return parse_chat(json.dumps({"model": "m", "messages": [HELLO]} | fields).encode())


def test_the_least_there_can_be() -> None:
    assert parsed() == ChatRequest("m", (HELLO,))


def test_the_newer_name_of_the_maximum_wins() -> None:
    assert parsed(max_tokens=9, max_completion_tokens=3).max_tokens == 3
    assert parsed(max_tokens=9).max_tokens == 9


def test_choices_and_streaming_have_their_own_places() -> None:
    request = parsed(n=3, stream=True, stream_options={"include_usage": True})

    assert (request.choices, request.stream, request.include_usage) == (3, True, True)
    assert request.parameters is None


def test_what_a_provider_is_to_get_is_kept_as_it_is() -> None:
    tool = {"type": "function", "function": {"name": "f", "cache_control": {"type": "ephemeral"}}}
    parameters = {"temperature": 0.5, "stop": ["a"], "seed": -7, "tools": [tool]}

    assert parsed(**parameters).parameters == parameters


def test_labels_are_dropped() -> None:
    request = parsed(user="u", metadata={"a": 1}, store=True, service_tier="flex")

    assert request == ChatRequest("m", (HELLO,))


def test_every_message_has_content_even_if_none() -> None:
    messages = [{"role": "assistant", "tool_calls": []}, HELLO]

    assert parsed(messages=messages).messages[0]["content"] is None


def test_what_only_answers_have_is_not_handed_on() -> None:
    answer = {"role": "assistant", "content": "Hi", "reasoning_content": "Hm", "annotations": []}

    assert parsed(messages=[answer]).messages == ({"role": "assistant", "content": "Hi"},)


def test_parts_keep_their_kind_and_their_fields() -> None:
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:,", "detail": "low"}},
        {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}},
        {"type": "refusal", "refusal": "No."},
    ]

    assert parsed(messages=[{"role": "user", "content": parts}]).messages[0]["content"] == parts


def test_the_free_api_has_a_model_of_its_own_and_labels() -> None:
    raw = json.dumps({"messages": [HELLO], "user_id": "u", "session_id": "s", "visitor": "v"})
    request, body = parse_free(raw.encode())

    assert request == ChatRequest("scalix-free", (HELLO,))
    assert (body.user_id, body.session_id, body.visitor) == ("u", "s", "v")


def test_only_the_free_api_takes_its_labels() -> None:
    with pytest.raises(InvalidRequest) as refused:
        parsed(user_id="u")

    assert refused.value.param == "user_id"


@pytest.mark.parametrize("depth", [200, 240])
def test_a_deep_schema_is_taken_as_long_as_it_can_be_written_again(depth: int) -> None:
    schema: dict[str, Any] = {}
    for _ in range(depth):
        schema = {"a": schema}
    tool = {"type": "function", "function": {"name": "f", "parameters": schema}}

    assert parsed(tools=[tool]).parameters == {"tools": [tool]}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
FIELDS = [
    "model", "messages", "stream", "temperature", "tools", "tool_choice", "response_format", "stop",
    "n", "logit_bias", "stream_options", "functions", "function_call", "metadata", "user",
]  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=4))
def test_whatever_json_comes_it_is_a_request_or_a_mistake(fields: dict[str, Any]) -> None:
    try:
        request = parsed(**fields)
    except InvalidRequest:
        return
    assert request.messages
    assert all(isinstance(text, str) for text in request.prompt_texts())


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60))
def test_whatever_bytes_come_they_are_a_mistake(raw: bytes) -> None:
    with pytest.raises(InvalidRequest):
        parse_chat(raw)


def test_a_call_s_id_may_be_long_since_some_providers_sign_it() -> None:
    call_id = f"call_1__thought__{'c2ln' * 4_000}"
    message = {"role": "tool", "tool_call_id": call_id, "content": "Rain"}

    assert parsed(messages=[message]).messages[0]["tool_call_id"] == call_id
