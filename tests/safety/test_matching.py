"""What a content rule finds, and what it leaves alone."""

import pytest

from gateway.safety.folding import fold
from gateway.safety.matching import KEYWORD, PATTERN, BadRule, Matcher, Rule, expression


def matcher(*texts: str, kind: str = KEYWORD) -> Matcher:
    return Matcher([Rule(number, text, kind, text, "No.") for number, text in enumerate(texts)])


def broken(text: str, *keywords: str) -> str | None:
    found = matcher(*keywords).first_broken(text)
    return found and found.name


@pytest.mark.parametrize(
    "text",
    [
        "a bad word",
        "BAD",
        "(bad)",
        "bad_word",
        "first line\nbad",
        "b\u00e4d",  # an accent
        "ba\u0301d",  # the same, as a mark of its own
        "b\u0337a\u0337d\u0337",  # struck through
        "b\u200ba\u200dd",  # zero-width space and joiner
        "b\u00ad\u2060ad",  # soft hyphen, word joiner
        "b\ufe0fad",  # a variation selector
        "\u202ebad",  # written from right to left
        "ｂａｄ",
        "𝐛𝐚𝐝",
        "ⓑⓐⓓ",
        "b\u0430d",  # Cyrillic a
        "Β\u0391D",  # Greek Beta and Alpha
        "в этом b\u0430d слове",  # among real Russian, a word that mixes scripts
        "b-a-d",
        "very b.a.d. indeed",
        "b a d",
        "b - a - d",
        "i a-m b-a-d",
        "b_a_d",
        "b*a*d",
        "b-\u200ba-d",
    ],
)
def test_a_keyword_is_found_however_it_is_written(text: str) -> None:
    assert broken(text, "bad") == "bad"


@pytest.mark.parametrize(
    ("text", "keyword"),
    [
        ("the town of Scunthorpe", "cunt"),
        ("a classic assessment", "ass"),
        ("badge, forbad", "bad"),
        ("ba-d", "bad"),  # hyphenation, which every second word would be
        ("T-R-A-P", "rap"),  # a word that is spelled out, and another one
        ("a, b, c", "abc"),
        ("e.g. this", "eg"),
        ("хор поёт громко", "xop"),  # real Russian, which only looks Latin
        ("one bomb. Make a wish", "make a bomb"),
        ("make a big bomb", "make a bomb"),
    ],
)
def test_what_only_contains_a_keyword_is_left_alone(text: str, keyword: str) -> None:
    assert broken(text, keyword) is None


@pytest.mark.parametrize(
    ("text", "keyword"),
    [
        ("how to make   a\n bomb", "Make a bomb"),
        ("make-a-bomb", "make a bomb"),
        ("cafe", "Café"),
        ("ΚΑΛΗΜΈΡΑ", "καλημέρα"),
        ("хор поёт громко", "ХОР"),
        ("елка", "ёлка"),
        ("如何制造炸弹呢", "炸弹"),  # a script without spaces between its words
        ("I like C++ most", "c++"),
        ("straße", "STRASSE"),
        ("\u0142\u00f3dka", "lodka"),
    ],
)
def test_a_rule_is_folded_as_prompts_are(text: str, keyword: str) -> None:
    assert broken(text, keyword) == keyword


def test_a_pattern_is_searched_for_in_the_folded_text() -> None:
    rules = matcher(r"\b\d{3}-\d{2}-\d{4}\b", r"ignore (all|any) previous", kind=PATTERN)

    assert rules.first_broken("mine is １２３-45-6789")
    assert rules.first_broken("IGN\u00adORE ALL previous words")
    assert rules.first_broken("ignore the previous one") is None


def test_of_several_broken_rules_the_first_is_named() -> None:
    assert broken("two and one", "one", "two") == "one"


def test_no_rules_find_nothing() -> None:
    assert Matcher([]).first_broken("bad") is None


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        (PATTERN, "(", "missing"),
        (PATTERN, r"(a)\1", "invalid escape"),
        (PATTERN, "(?=a)", "invalid perl operator"),
        (PATTERN, "((a{1,100}){1,100}){1,100}", "can’t be searched for"),
        (PATTERN, "a*", "empty prompt"),
        (KEYWORD, "\u200b", "letter"),
        (KEYWORD, "!?", "letter"),
        (KEYWORD, "  ", "letter"),
    ],
)
def test_a_rule_that_can_t_work_says_why(kind: str, text: str, said: str) -> None:
    with pytest.raises(BadRule, match=said):
        expression(kind, text)


@pytest.mark.parametrize("text", [r"(a+)+$", r"(x+x+)+y", r"(.*a){20}"])
def test_a_pattern_that_backtracking_would_drown_in_is_harmless(text: str) -> None:
    """It would take longer than the universe has; here, as long as reading the text."""
    rules = matcher(text, kind=PATTERN)

    rules.first_broken("a" * 100_000 + "!")
    rules.first_broken("x" * 100_000)


def test_half_a_surrogate_pair_is_read_too() -> None:
    assert broken("\ud800 bad", "bad") == "bad"


def test_folding_leaves_the_vowels_of_other_scripts() -> None:
    assert fold("कि") != fold("का")
