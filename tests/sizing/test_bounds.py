"""The bound holds against the real tokenizers that are at hand; `bench.tokens` has the others."""

from typing import Any

import pytest

from bench.tokens.counting import AT_HAND, Count
from bench.tokens.texts import hostile, of_length, ordinary
from gateway.sizing.families import LLAMA, MEASURED, OPENAI, QWEN, SMOLLM, UNKNOWN, Family
from gateway.sizing.prompt import PromptSize, bound, measure, text_bound
from gateway.types import ChatRequest
from scalix.embedded.errors import EmbeddedError

FAMILIES = {family.name: family for family in MEASURED}


def size_of(text: str, **parameters: Any) -> PromptSize:
    return measure(ChatRequest("m", ({"role": "user", "content": text},), parameters=parameters))


@pytest.fixture(scope="module", params=AT_HAND)
def tokenizer(request: pytest.FixtureRequest) -> tuple[Family, Count]:
    family, load = AT_HAND[request.param]
    try:
        return FAMILIES[family], load()
    except EmbeddedError as error:  # the demo model is another installation
        pytest.skip(str(error))


def test_no_ordinary_text_exceeds_its_family_s_bound(tokenizer: tuple[Family, Count]) -> None:
    family, count = tokenizer

    for kind, text in ordinary().items():
        assert count(text) <= text_bound(size_of(text), family), kind
        short = of_length(text, 100)
        assert count(short) + 7 <= bound(size_of(short), (family,)), kind


def test_no_hostile_text_takes_more_than_four_times_its_bound(
    tokenizer: tuple[Family, Count],
) -> None:
    family, count = tokenizer

    for kind, text in hostile().items():
        assert count(text) <= 4 * text_bound(size_of(text), family), kind


@pytest.mark.parametrize("family", MEASURED, ids=lambda family: family.name)
def test_a_token_for_each_byte_is_at_most_four_times_the_bound(family: Family) -> None:
    for text in (ordinary() | hostile()).values():
        assert len(text.encode()) <= 4 * text_bound(size_of(text), family)


@pytest.mark.parametrize("family", [QWEN, SMOLLM, UNKNOWN], ids=lambda family: family.name)
@pytest.mark.parametrize("digits", [1, 2, 3, 4, 5, 6, 100, 1_001])
def test_a_token_for_each_digit_is_within_the_bound(family: Family, digits: int) -> None:
    assert digits <= text_bound(size_of("7" * digits), family)


def test_the_bound_of_several_families_is_the_largest_of_theirs() -> None:
    size = size_of("Guten Tag, wie geht es Ihnen?")
    alone = {family.name: bound(size, (family,)) for family in MEASURED}

    assert bound(size, MEASURED) == max(alone.values())
    assert bound(size, (OPENAI, LLAMA)) == max(alone["openai"], alone["llama"])
    assert bound(size, (UNKNOWN,)) >= max(alone.values())


def test_what_a_template_says_by_itself_is_in_the_bound() -> None:
    def bound_of(messages: int, **parameters: Any) -> int:
        each = ({"role": "user", "content": ""},) * messages
        size = measure(ChatRequest("m", each, parameters=parameters))
        return bound(size, (LLAMA,))

    begins, opens, each_message, instructions = 1, 4, 5, 150
    assert bound_of(1) >= begins + opens + each_message + 30  # its dates
    assert bound_of(100) - bound_of(1) >= 99 * each_message
    assert bound_of(1, tools=[]) - bound_of(1) >= instructions
