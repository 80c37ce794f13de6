"""How many tokens a prompt or an answer has, without asking the provider.

The tokenizer is tiktoken's cl100k, whose data file lies in litellm's wheel; it is found without
importing litellm.  Providers' own tokenizers differ: `bound_prompt` leaves room for that, and what
a provider reports always replaces what is counted here.

Source of the rule for messages: OpenAI's published one for chat models, 3 tokens around each
message, 1 more for a name, 3 that open the answer.
"""

import functools
import importlib.util
import math
import os
from pathlib import Path
from typing import Any, Final

import tiktoken

from gateway.types import ChatRequest

_AROUND_MESSAGE: Final = 3
_AROUND_NAME: Final = 1
_OPENS_ANSWER: Final = 3
_IMAGE_TOKENS: Final = 1_500  # above OpenAI's largest for one image in high detail, 1,445
# Base-64 digits: ten tokens a second, as OpenAI counts, of sound at 16 kbit a second, which is as
# little as speech is sent in.
_AUDIO_DIGITS_A_TOKEN: Final = 266
_BOUND_FACTOR: Final = 1.3  # how much finer than cl100k another tokenizer may cut the same text
_BOUND_EXTRA: Final = 40  # a system prompt that the provider adds, as the demo model does
_PIECE: Final = 8_192  # tiktoken's time grows faster than the length of a text without spaces


@functools.cache
def _encoding() -> tiktoken.Encoding:
    package = importlib.util.find_spec("litellm")
    if package is None or package.origin is None:
        raise RuntimeError("litellm is not installed: its wheel holds the tokenizer's data")
    data = Path(package.origin).parent / "litellm_core_utils" / "tokenizers"
    os.environ["TIKTOKEN_CACHE_DIR"] = str(data)  # else tiktoken would fetch the file
    return tiktoken.get_encoding("cl100k_base")


def warm() -> None:
    """Loads the tokenizer's data, 0.1 s, so that no request waits for it."""
    _encoding()


def count_text(text: str) -> int:
    """Tokens of a text; a few more than exact above 8,192 characters, where it is cut in pieces."""
    encode = _encoding().encode_ordinary
    return sum(len(encode(text[at : at + _PIECE])) for at in range(0, len(text), _PIECE))


def count_prompt(request: ChatRequest) -> int:
    """Tokens of a request's messages and tools, by OpenAI's rule."""
    total = _OPENS_ANSWER + sum(map(count_text, request.prompt_texts()))
    for message in request.messages:
        total += _AROUND_MESSAGE + count_text(message["role"])
        if name := message.get("name"):
            total += _AROUND_NAME + count_text(name)
        content = message.get("content")
        if isinstance(content, list):
            total += sum(_attachment_tokens(part) for part in content)
    return total


def _attachment_tokens(part: dict[str, Any]) -> int:
    """What one part of a message takes that is no text."""
    if part["type"] == "image_url":
        return _IMAGE_TOKENS
    if part["type"] == "input_audio":
        return len(part["input_audio"]["data"]) // _AUDIO_DIGITS_A_TOKEN + 1
    return 0


def bound_prompt(counted: int) -> int:
    """What a prompt that counts so many tokens here takes at most at any provider."""
    return math.ceil(counted * _BOUND_FACTOR) + _BOUND_EXTRA
