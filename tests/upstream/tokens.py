"""Exact token counts, for prompts and for the text that the double answers with.

Both use cl100k_base, read offline from the tokenizer files inside litellm's wheel. litellm itself
isn't imported: that would cost four seconds and 170 MB.
"""

import importlib.util
import os
from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

# OpenAI's published rule for chat models: each message costs three tokens beside its own text,
# a name costs one more, and the reply is primed with three.
TOKENS_PER_MESSAGE = 3
TOKENS_PER_NAME = 1
TOKENS_PER_REPLY = 3
# An image at low detail, the only detail that needs no look at the picture.
TOKENS_PER_IMAGE = 85

# Each word is one token with its leading space. cl100k never merges across a space that starts a
# word, so any run of these words is as many tokens as it has words. test_tokens.py proves it.
ENGLISH = (
    " quick river carries small boats past quiet towns while bright morning light moves over"
    " green fields and old stone walls near a long road where people walk home with bread"
)
MULTIBYTE = (
    " für não über können più été très même años también будет может файл данных класс метод"
    " объект код что français"
)


def tokenizer_folder() -> Path:
    """The folder of litellm's bundled tokenizer files, found without importing litellm."""
    spec = importlib.util.find_spec("litellm")
    if spec is None or spec.origin is None:
        raise RuntimeError("The double counts with litellm's tokenizer files: litellm is missing.")
    return Path(spec.origin).parent / "litellm_core_utils" / "tokenizers"


os.environ.setdefault("TIKTOKEN_CACHE_DIR", str(tokenizer_folder()))

import tiktoken  # noqa: E402  (reads the variable above)

_ENCODING = tiktoken.get_encoding("cl100k_base")


def _words(sentence: str) -> tuple[str, ...]:
    return tuple(f" {word}" for word in sentence.split())


VOCABULARIES: Mapping[str, tuple[str, ...]] = {
    "english": _words(ENGLISH),
    "multibyte": _words(MULTIBYTE),
}


@lru_cache(maxsize=4096)
def count_text(text: str) -> int:
    """Tokens of a plain text; special tokens in it count as ordinary text."""
    return len(_ENCODING.encode_ordinary(text))


def encode_text(text: str) -> list[int]:
    """The tokens of a plain text."""
    return list(_ENCODING.encode_ordinary(text))


def count_prompt(messages: Iterable[Mapping[str, Any]]) -> int:
    """Tokens of a chat prompt by OpenAI's published rule, images at low detail."""
    total = TOKENS_PER_REPLY
    for message in messages:
        total += TOKENS_PER_MESSAGE + count_text(str(message.get("role", "")))
        total += _count_content(message.get("content"))
        if name := message.get("name"):
            total += TOKENS_PER_NAME + count_text(str(name))
    return total


def _count_content(content: object) -> int:
    if isinstance(content, str):
        return count_text(content)
    if not isinstance(content, list):
        return 0
    return sum(
        count_text(str(part.get("text", ""))) if part.get("type") == "text" else TOKENS_PER_IMAGE
        for part in content
        if isinstance(part, dict)
    )


@lru_cache(maxsize=256)
def completion_words(length: int, vocabulary: str = "english") -> tuple[str, ...]:
    """The first `length` words of the endless deterministic answer, one token each."""
    words = VOCABULARIES[vocabulary]
    return tuple(words[position % len(words)] for position in range(length))


@lru_cache(maxsize=256)
def completion_parts(length: int, parts: int, vocabulary: str) -> tuple[tuple[str, int], ...]:
    """The answer of `length` tokens as `parts` texts with their token counts, all but even.

    No part is empty: there are never more parts than words.
    """
    words = completion_words(length, vocabulary)
    parts = max(1, min(parts, length))
    edges = [part * length // parts for part in range(parts + 1)]
    return tuple(("".join(words[start:end]), end - start) for start, end in pairwise(edges))
