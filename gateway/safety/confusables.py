"""Cyrillic and Greek letters that look like Latin ones, by eye; and letters that fold by hand.

Only close likenesses: with each further one, more of a real Russian text could be a disguise.
"""

from typing import Final

_CYRILLIC: Final = (
    "аaвbеeкkмmнhоoрpсcтtуyхxіiјjѕsԁdһhӏlԛqԝwѵvүy"
    "АAВBЕEКKМMНHОOРPСCТTУYХXІIЈJЅSԌGԚQԜWЅSҮY"
)  # fmt: skip
_GREEK: Final = "αaβbγyεeηnιiκkνvοoρpτtυuχxωwϲcϳjΑAΒBΕEΖZΗHΙIΚKΜMΝNΟOΡPΤTΥYΧX"


def _pairs(text: str) -> dict[str, str]:
    return dict(zip(text[::2], text[1::2], strict=True))


LOOKALIKES: Final = _pairs(_CYRILLIC) | _pairs(_GREEK)
"""A letter, and the Latin one that it can be taken for."""

TRANSLATION: Final = str.maketrans(LOOKALIKES)

HAND_FOLDED: Final = {
    "ı": "i", "ł": "l", "ø": "o", "đ": "d", "ħ": "h", "æ": "ae", "œ": "oe", "ɑ": "a", "ɡ": "g",
}  # fmt: skip
"""Letters of the Latin script that Unicode does not take apart, after casefolding."""


def _own_letters() -> str:
    """A regex class's inside: the Cyrillic and Greek letters that look like no Latin one."""
    blocks = [*range(0x370, 0x400), *range(0x400, 0x530)]
    return "".join(
        chr(code) for code in blocks if chr(code).isalpha() and chr(code) not in LOOKALIKES
    )


OWN_LETTERS: Final = _own_letters()
