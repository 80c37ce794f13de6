"""Which prompts are like each other, and that no prompt is kept."""

import random

import pytest

from gateway.safety.fingerprints import last_said, likeness, packed, sketch, unpacked
from gateway.types import ChatRequest

WORDS = [f"w{number}x" for number in range(500)]


def text(seed: int, length: int = 120) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=length))


def like(one: str, other: str) -> float:
    ours, theirs = sketch(one), sketch(other)
    assert ours
    assert theirs
    return likeness(ours, theirs)


def test_a_prompt_is_like_itself_however_it_is_written() -> None:
    assert like(text(1), text(1).upper().replace(" ", " \n ")) == 1.0


def test_different_prompts_are_not_alike() -> None:
    assert like(text(1), text(2)) < 0.1


def test_a_prompt_with_two_words_changed_is_nearly_the_same() -> None:
    words = text(1).split()
    words[30] = words[80] = "changed"

    assert like(text(1), " ".join(words)) > 0.8


def test_the_estimate_is_near_the_true_share_of_common_triples() -> None:
    """Over pairs that have half of their words in common."""
    off = []
    for seed in range(60):
        ours = text(seed, 200)
        theirs = " ".join([*ours.split()[:134], *text(seed + 1000, 66).split()])
        off.append(like(ours, theirs) - 0.5)
    assert abs(sum(off) / len(off)) < 0.05


@pytest.mark.parametrize("short", ["", "Hello", "Say hello to me in French please"])
def test_a_short_prompt_has_no_fingerprint(short: str) -> None:
    assert sketch(short) is None


def test_of_a_long_prompt_beginning_and_end_are_looked_at() -> None:
    long = text(3, 50_000)

    assert len(packed(sketch(long) or ())) == 128
    assert like(long, long[:3_000] + "something else " * 90_000 + long[-1_100:]) > 0.6


def test_a_fingerprint_is_read_back_as_it_was_written() -> None:
    found = sketch(text(4))
    assert found
    assert unpacked(packed(found)) == found


def test_what_the_user_said_last_is_what_counts() -> None:
    request = ChatRequest(
        "scalix-free",
        (
            {"role": "system", "content": "the application's own words"},
            {"role": "user", "content": "before"},
            {"role": "user", "content": [{"type": "text", "text": "now"}]},
            {"role": "assistant", "content": "answer"},
        ),
    )

    assert last_said(request) == "now"
