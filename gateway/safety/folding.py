"""One form for texts that read the same: case, accents, hidden characters, look-alike letters.

Both prompts and rules are folded, so that they are compared by what a reader sees.
"""

import re
import unicodedata
from typing import Any, Final

import re2

from gateway.safety.confusables import HAND_FOLDED, OWN_LETTERS, TRANSLATION

# What is dropped: combining marks of Latin, Greek and Cyrillic, vowel points of Hebrew and Arabic,
# and what nobody sees. The vowel signs of Indic scripts stay: they are no accents.
_DROPPED: Final = (
    "\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
    "\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u064b-\u065f\u0670\u0640"
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
# By far the most frequent: removed one by one, which is faster than a regex where there are many.
_FREQUENT: Final = ("\u0301", "\u0300", "\u0302", "\u0308", "\u0303", "\u0327", "\u030c", "\u0306")
_HIDDEN_RUN: Final = re.compile(f"[{_DROPPED}]+")
_WORD: Final = re.compile(r"[^\W\d_]+")

_HIDDEN, _FOREIGN, _OWN, _MIXED = range(4)
_TRAITS: Final = (
    f"[{_DROPPED}]",
    r"[\p{Cyrillic}\p{Greek}]",
    f"[{OWN_LETTERS}]",  # that nobody takes for a Latin one
    r"\p{Latin}[\p{Cyrillic}\p{Greek}]|[\p{Cyrillic}\p{Greek}]\p{Latin}",
)


def _traits() -> Any:
    """All of them in one pass over a text."""
    found = re2.Set.SearchSet()
    for trait in _TRAITS:
        found.Add(trait)
    found.Compile()
    return found


_TRAITS_OF: Final = _traits()


def fold(text: str) -> str:
    """The text as it is compared.  Linear in its length."""
    if text.isascii():
        return text.lower()
    text, traits = _without_hidden(unicodedata.normalize("NFKD", text))
    if _FOREIGN in traits:
        text = _without_lookalikes(text, traits)
    text = text.casefold()
    for letter, plain in HAND_FOLDED.items():
        if letter in text:
            text = text.replace(letter, plain)
    return text


def fold_for_rule(text: str) -> set[str]:
    """The forms that a rule's text can have once it is folded, in whichever text it stands."""
    plain, _ = _without_hidden(unicodedata.normalize("NFKD", text))
    return {fold(text), fold(plain.translate(TRANSLATION)), plain.casefold()}


def _without_hidden(text: str) -> tuple[str, list[int]]:
    """The text with nothing to be dropped in it, and its traits."""
    for mark in _FREQUENT:
        if mark in text:
            text = text.replace(mark, "")
    traits = _traits_of(text)
    if _HIDDEN in traits:
        text = _HIDDEN_RUN.sub("", text)
        traits = _traits_of(text)  # what is now side by side was not
    return text, traits


def _traits_of(text: str) -> list[int]:
    found: list[int] | None = _TRAITS_OF.Match(text.encode(errors="replace"))
    return found or []


def _without_lookalikes(text: str, traits: list[int]) -> str:
    """Latin letters for what only looks like them; real Russian or Greek stays what it is.

    A text whose every Cyrillic and Greek letter could be taken for a Latin one is a disguise.  Of
    any other, only words that mix scripts are.
    """
    if _OWN not in traits:
        return text.translate(TRANSLATION)
    return _WORD.sub(_unmixed, text) if _MIXED in traits else text


def _unmixed(found: re.Match[str]) -> str:
    word = found[0]
    return word.translate(TRANSLATION) if _MIXED in _traits_of(word) else word
