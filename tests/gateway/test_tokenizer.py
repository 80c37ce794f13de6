"""How many tokens a prompt has, counted here."""

from typing import Any

import pytest

from gateway.tokenizer import bound_prompt, count_prompt, count_text
from gateway.types import ChatRequest
from tests.upstream import tokens as exact


def asking(*messages: dict[str, Any], **parameters: Any) -> ChatRequest:
    return ChatRequest("m", messages, parameters=parameters or None)


@pytest.mark.parametrize(
    "text", ["", "Hello", "für über", "日本語", "😀" * 5, "a\0b", "<|endoftext|>", "\r\n\t"]
)
def test_a_text_is_counted_as_cl100k_cuts_it(text: str) -> None:
    assert count_text(text) == exact.count_text(text)


def test_a_long_text_is_counted_in_pieces_that_change_little() -> None:
    text = "quick river carries small boats " * 2_000

    assert 0 <= count_text(text) - exact.count_text(text) <= 10


def test_messages_are_counted_by_openai_s_rule() -> None:
    messages = (
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What is it?", "name": "bob"},
        {"role": "assistant", "content": None},
    )

    assert count_prompt(asking(*messages)) == exact.count_prompt(messages)


def test_parts_count_as_their_text() -> None:
    parts = [{"type": "text", "text": "What is it?"}]

    assert count_prompt(asking({"role": "user", "content": parts})) == count_prompt(
        asking({"role": "user", "content": "What is it?"})
    )


def test_an_image_counts_as_the_largest() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    without = count_prompt(asking({"role": "user", "content": []}))

    assert count_prompt(asking({"role": "user", "content": [image]})) == without + 1_500


def test_sound_counts_by_its_length() -> None:
    def prompt_of(digits: int) -> int:
        sound = {"data": "A" * digits, "format": "wav"}
        part = {"type": "input_audio", "input_audio": sound}
        return count_prompt(asking({"role": "user", "content": [part]}))

    ten_minutes_of_speech = 1_600_000  # base-64 digits at 16 kbit a second
    assert prompt_of(ten_minutes_of_speech) - prompt_of(0) > 6_000  # at ten tokens a second


@pytest.mark.parametrize("name", ["tools", "functions", "response_format"])
def test_what_the_provider_reads_beside_the_messages_counts(name: str) -> None:
    message = {"role": "user", "content": "Hi"}
    long = [{"description": "quick river " * 50}]

    assert count_prompt(asking(message, **{name: long})) > count_prompt(asking(message)) + 100
    assert count_prompt(asking(message, stop=["quick river " * 50])) == count_prompt(
        asking(message)
    )


def test_calls_and_refusals_of_earlier_answers_count() -> None:
    plain = count_prompt(asking({"role": "assistant", "content": None}))
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "quick " * 50}}

    for said in (
        {"tool_calls": [call]},
        {"function_call": call["function"]},
        {"refusal": "quick " * 50},
        {"content": [{"type": "refusal", "refusal": "quick " * 50}]},
    ):
        message = {"role": "assistant", "content": None} | said
        assert count_prompt(asking(message)) >= plain + 50


def test_a_bound_leaves_room_for_another_tokenizer() -> None:
    assert bound_prompt(0) == 40
    assert bound_prompt(1000) == 1340
    assert all(bound_prompt(count) > count * 1.3 for count in range(0, 5_000, 7))
