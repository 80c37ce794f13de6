"""Tokens of a text by tiktoken's cl100k, whose data lies in litellm's wheel.

It is found there without importing litellm.
"""

import functools
import importlib.util
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import tiktoken

_PIECE: Final = 8_192  # tiktoken's time grows faster than the length of a text without spaces


def data_folder() -> Path:
    """Where litellm's wheel has the data of tokenizers."""
    package = importlib.util.find_spec("litellm")
    if package is None or package.origin is None:
        raise RuntimeError("litellm is not installed: its wheel holds the tokenizer's data")
    return Path(package.origin).parent / "litellm_core_utils" / "tokenizers"


@functools.cache
def _encoding() -> tiktoken.Encoding:
    os.environ["TIKTOKEN_CACHE_DIR"] = str(data_folder())  # else tiktoken would fetch the file
    return tiktoken.get_encoding("cl100k_base")


def warm_tokenizer() -> None:
    """Loads the tokenizer's data, 0.1 s, so that no request waits for it."""
    _encoding()


def count_text(text: str) -> int:
    """Tokens of a text; a few more than exact above 8,192 characters, where it is cut in pieces."""
    return sum(map(len, map(_encoding().encode_ordinary, pieces(text))))


def text_of(tokens: Sequence[int]) -> str:
    """The text that tokens stand for; ValueError where one is none of cl100k's."""
    try:
        text: str = _encoding().decode(tokens)
    except (KeyError, OverflowError) as error:
        raise ValueError("a token that cl100k_base does not have") from error
    return text


def pieces(text: str) -> Iterator[str]:
    """What is handed to tiktoken at once: never so much that its time would grow faster."""
    return (text[at : at + _PIECE] for at in range(0, len(text), _PIECE))


def count_among(data: bytes, wanted: bytes) -> int:
    """How many of its bytes are among these: one pass in C, 1 µs for 1 KB."""
    return len(data) - len(data.translate(None, wanted))
