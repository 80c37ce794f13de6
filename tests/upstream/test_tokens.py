"""The double's figures are those that anyone with the same tokenizer gets."""

import pytest

from tests.upstream.tokens import (
    VOCABULARIES,
    completion_parts,
    completion_words,
    count_prompt,
    count_text,
)


@pytest.mark.parametrize("vocabulary", VOCABULARIES)
def test_each_word_of_a_vocabulary_is_one_token(vocabulary: str) -> None:
    assert [count_text(word) for word in VOCABULARIES[vocabulary]] == [1] * len(
        VOCABULARIES[vocabulary]
    )


@pytest.mark.parametrize("vocabulary", VOCABULARIES)
def test_an_answer_of_any_length_encodes_to_exactly_that_many_tokens(vocabulary: str) -> None:
    lengths = range(1, 200)
    answers = ["".join(completion_words(length, vocabulary)) for length in lengths]
    assert [count_text(answer) for answer in answers] == list(lengths)


def test_every_multibyte_word_really_holds_a_multibyte_character() -> None:
    assert not any(word.isascii() for word in VOCABULARIES["multibyte"])


@pytest.mark.parametrize(("length", "parts"), [(1, 1), (7, 3), (8, 8), (100, 99), (3, 10)])
def test_the_parts_of_an_answer_make_up_the_answer(length: int, parts: int) -> None:
    pieces = completion_parts(length, parts, "english")

    assert "".join(text for text, _ in pieces) == "".join(completion_words(length))
    assert sum(tokens for _, tokens in pieces) == length
    assert [count_text(text) for text, _ in pieces] == [tokens for _, tokens in pieces]


def test_a_prompt_costs_what_the_published_rule_says() -> None:
    # The worked example of OpenAI's own cookbook: 129 tokens for the cl100k chat models.
    note = {"role": "system", "name": "example_user"}
    answer = {"role": "system", "name": "example_assistant"}
    messages = [
        {
            "role": "system",
            "content": "You are a helpful, pattern-following assistant that translates corporate "
            "jargon into plain English.",
        },
        {**note, "content": "New synergies will help drive top-line growth."},
        {**answer, "content": "Things working well together will increase revenue."},
        {
            **note,
            "content": "Let's circle back when we have more bandwidth to touch base on "
            "opportunities for increased leverage.",
        },
        {
            **answer,
            "content": "Let's talk later when we're less busy about how to do better.",
        },
        {
            "role": "user",
            "content": "This late pivot means we don't have time to boil the ocean for the "
            "client deliverable.",
        },
    ]
    assert count_prompt(messages) == 129


def test_a_message_in_parts_counts_its_text_and_a_flat_price_for_each_image() -> None:
    text = {"type": "text", "text": "What is this?"}
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    plain = count_prompt([{"role": "user", "content": "What is this?"}])

    assert count_prompt([{"role": "user", "content": [text]}]) == plain
    assert count_prompt([{"role": "user", "content": [text, image]}]) == plain + 85


def test_a_message_without_text_costs_only_its_frame() -> None:
    assert count_prompt([{"role": "assistant", "content": None}]) == 3 + 3 + 1
