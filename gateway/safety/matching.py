"""Many rules in one automaton: which of them does a text break?

RE2 takes time in proportion to the text's length, whatever the patterns are, so neither staff's
pattern nor a caller's text can make it slow.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import re2

from gateway.safety.folding import fold, fold_for_rule

KEYWORD: Final = "keyword"
PATTERN: Final = "pattern"

_MEMORY: Final = 64 << 20  # of an automaton that grows as it runs, and then starts anew
_PATTERN_MEMORY: Final = 1 << 20

_START: Final = r"(?:^|[^\p{L}\p{N}])"
_END: Final = r"(?:$|[^\p{L}\p{N}])"
_SPACE: Final = r"[\s\p{Pd}_]{1,3}"  # between a phrase's words
# Scripts that put no space between words: there "whole word" can't be seen.
_UNSPACED: Final = re2.compile(
    r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]"
)
_WORD_LETTER: Final = re2.compile(r"[\p{L}\p{N}]")

# Letters one by one, as in "b-a-d": three at least, so that "e.g." is none.  RE2 says quickly that
# there are none, which is nearly always; re, which can look around, finds each.
_SPELLS: Final = re2.compile(_START + r"[\p{L}\p{N}](?:[-_.*~+|/\\· ]{1,3}[\p{L}\p{N}]){2,}" + _END)
_SPELLED: Final = re.compile(
    r"(?<![^\W_])[^\W_](?:[-_.*~+|/\\· ]{1,3}[^\W_](?![^\W_])){2,}"
)  # fmt: skip
_AROUND_SEPARATORS: Final = re.compile(r" ?([-_.*~+|/\\·]+) ?")
_SEPARATORS: Final = re.compile(r"[-_.*~+|/\\·]+")


class BadRule(ValueError):
    """A rule's text that can't be matched; says why, for staff."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule as it is matched."""

    id: int
    name: str
    kind: str
    text: str
    explanation: str


class Matcher:
    """The rules of one tier.  Rules that are none (see `expression`) raise BadRule."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = tuple(rules)
        self._set: Any = None
        if not rules:
            return
        options = re2.Options()
        options.max_mem, options.log_errors = _MEMORY, False
        self._set = re2.Set.SearchSet(options)
        for rule in rules:
            self._set.Add(expression(rule.kind, rule.text))
        self._set.Compile()

    def first_broken(self, text: str) -> Rule | None:
        """Of the rules that a text breaks the first."""
        if self._set is None:
            return None
        folded = fold(text)
        encoded = folded.encode(errors="replace")  # half a surrogate pair is no letter
        found = self._set.Match(encoded)
        if not found and _SPELLS.search(encoded):
            found = self._set.Match(_spelled_words(folded).encode())
        return self._rules[min(found)] if found else None


def expression(kind: str, text: str) -> str:
    """The RE2 expression that finds what a rule is about in a folded text; or BadRule."""
    found = _keyword(text) if kind == KEYWORD else _pattern(text)
    options = re2.Options()
    options.max_mem, options.log_errors = _PATTERN_MEMORY, False
    try:
        compiled = re2.compile(found, options)
    except re2.error as error:
        reason = error.args[0] if error.args else error
        said = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise BadRule(f"This can’t be searched for: {said}.") from error
    if compiled.search(""):
        raise BadRule("This matches an empty prompt, and so every one.")
    return found


def _keyword(text: str) -> str:
    forms = sorted({" ".join(form.split()) for form in fold_for_rule(text)})
    if not all(map(_WORD_LETTER.search, forms)):
        raise BadRule("A keyword needs a letter or a digit.")
    return "|".join(map(_whole_words, forms))


def _whole_words(form: str) -> str:
    words = _SPACE.join(re2.escape(word) for word in form.split())
    return f"{_START if _is_bounded(form[0]) else ''}(?:{words}){_END if _is_bounded(form[-1]) else ''}"  # noqa: E501


def _is_bounded(letter: str) -> bool:
    return bool(_WORD_LETTER.search(letter)) and not _UNSPACED.search(letter)


def _pattern(text: str) -> str:
    """Folded where that can't change its meaning: in ASCII, upper case can (a class's name)."""
    folded = "".join(char if char.isascii() else fold(char) for char in text)
    return f"(?i){folded}"


def _spelled_words(folded: str) -> str:
    """The words that a text spells letter by letter, put together."""
    return " ".join(word for found in _SPELLED.finditer(folded) for word in _put_together(found[0]))


def _put_together(run: str) -> list[str]:
    """`b-a-d` and `b a d` are one word; in `i a-m b-a-d` the spaces part the words."""
    if _SEPARATORS.search(run):
        parts = _AROUND_SEPARATORS.sub(r"\1", run).split()
        return [_SEPARATORS.sub("", part) for part in parts]
    return ["".join(run.split())]
