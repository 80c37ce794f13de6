"""How many tokens a prompt has by OpenAI's rule, counted here."""

from typing import Any

import pytest

from gateway.sizing.families import GEMINI, OPENAI, Family
from gateway.sizing.prompt import counted, measure
from gateway.sizing.text import count_text, pieces
from gateway.types import ChatRequest
from tests.upstream import tokens as exact

TEXTS = ["", "Hello", "für über", "日本語", "😀" * 5, "a\0b", "<|endoftext|>", "\r\n\t"]


def asking(*messages: dict[str, Any], **parameters: Any) -> ChatRequest:
    return ChatRequest("m", messages, parameters=parameters or None)


def tokens_of(*messages: dict[str, Any], **parameters: Any) -> int:
    return counted(measure(asking(*messages, **parameters)), (OPENAI,))


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_is_counted_as_cl100k_cuts_it(text: str) -> None:
    assert count_text(text) == exact.count_text(text)


def test_a_long_text_is_counted_in_pieces_that_change_little() -> None:
    text = "quick river carries small boats " * 2_000

    assert 0 <= count_text(text) - exact.count_text(text) <= 10


@pytest.mark.parametrize("length", [0, 1, 8_192, 8_193, 1_000_000])
def test_no_piece_is_longer_in_a_longer_text_and_none_is_read_twice(length: int) -> None:
    text = "a" * length
    handed_over = list(pieces(text))

    assert "".join(handed_over) == text
    assert max(map(len, handed_over), default=0) <= 8_192


@pytest.mark.parametrize("text", [*TEXTS, "\ud800"])
def test_bytes_are_those_of_utf_8(text: str) -> None:
    size = measure(asking({"role": "user", "content": text}))

    assert size.utf8 == len(text.encode(errors="surrogatepass"))


def test_digits_are_0_to_9_and_capitals_a_to_z() -> None:
    size = measure(asking({"role": "user", "content": "On 2026-11-27 at 08:30, ٣ of ½ ÄRA"}))

    assert (size.digits, size.capitals) == (12, 3)


def test_names_are_looked_at_too() -> None:
    size = measure(asking({"role": "user", "content": None, "name": "R2D2"}))

    assert (size.utf8, size.digits, size.capitals) == (4, 2, 2)


def test_messages_are_counted_by_openai_s_rule() -> None:
    messages = (
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What is it?", "name": "bob"},
        {"role": "assistant", "content": None},
    )

    assert tokens_of(*messages) == exact.count_prompt(messages)


def test_parts_count_as_their_text() -> None:
    parts = [{"type": "text", "text": "What is it?"}]

    assert tokens_of({"role": "user", "content": parts}) == tokens_of(
        {"role": "user", "content": "What is it?"}
    )


def test_an_image_counts_as_in_the_family_that_takes_most_for_it() -> None:
    image = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    without = measure(asking({"role": "user", "content": []}))
    size = measure(asking({"role": "user", "content": [image]}))
    most_of_gemini, most_of_openai = 6_192, 12_000

    for families, most in (
        ((GEMINI,), most_of_gemini),
        ((GEMINI, OPENAI), most_of_openai),
    ):
        assert counted(size, families) == counted(without, families) + most


@pytest.mark.parametrize(("family", "each_second"), [(OPENAI, 10), (GEMINI, 32)])
def test_sound_counts_by_its_length_and_the_family_s_tokens_a_second(
    family: Family, each_second: int
) -> None:
    def prompt_of(digits: int) -> int:
        sound = {"data": "A" * digits, "format": "wav"}
        part = {"type": "input_audio", "input_audio": sound}
        return counted(measure(asking({"role": "user", "content": [part]})), (family,))

    ten_minutes_of_speech = 1_600_000  # base-64 digits at 16 kbit a second
    tokens = prompt_of(ten_minutes_of_speech) - prompt_of(0)
    assert 599 * each_second <= tokens <= 601 * each_second


@pytest.mark.parametrize("name", ["tools", "functions", "response_format"])
def test_what_the_provider_reads_beside_the_messages_counts(name: str) -> None:
    message = {"role": "user", "content": "Hi"}
    long = [{"description": "quick river " * 50}]

    assert tokens_of(message, **{name: long}) > tokens_of(message) + 100
    assert tokens_of(message, stop=["quick river " * 50]) == tokens_of(message)


def test_calls_and_refusals_of_earlier_answers_count() -> None:
    plain = tokens_of({"role": "assistant", "content": None})
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "quick " * 50}}

    for said in (
        {"tool_calls": [call]},
        {"function_call": call["function"]},
        {"refusal": "quick " * 50},
        {"content": [{"type": "refusal", "refusal": "quick " * 50}]},
    ):
        message = {"role": "assistant", "content": None} | said
        assert tokens_of(message) >= plain + 50
