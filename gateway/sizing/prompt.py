"""The size of a request's prompt: one look at it, then what that comes to in each family.

OpenAI's published rule for chat models, which `counted` follows: 3 tokens around each message,
1 more for a name, 3 that open the answer.
"""

import functools
import math
import string
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from gateway.sizing.families import Family
from gateway.sizing.images import Image, read_image
from gateway.sizing.text import count_among, count_text
from gateway.types import Asked, ChatRequest, EmbeddingRequest

_AROUND_MESSAGE: Final = 3
_AROUND_NAME: Final = 1
_OPENS_ANSWER: Final = 3
_READ_AS_TOOLS: Final = ("tools", "functions", "response_format")
# Sound of 16 kbit a second, which is as little as speech is sent in; in base-64 digits.
_SOUND_DIGITS_A_SECOND: Final = 2_667
# A tokenizer that falls back on bytes takes at most one token for each: no text whatsoever takes
# more than four times a bound that is at least this share of them.  Claude's may, by a little.
_BYTES_A_TOKEN: Final = 4

_DIGITS: Final = string.digits.encode()
_CAPITALS: Final = string.ascii_uppercase.encode()

_count_role = functools.cache(count_text)  # of the six roles there are


@dataclass(frozen=True, slots=True)
class PromptSize:
    """What a prompt is made of, whoever reads it."""

    tokens: int  # of its text, by cl100k and OpenAI's rule
    utf8: int  # bytes of its text
    digits: int
    capitals: int
    messages: int
    has_tools: bool
    images: tuple[Image, ...]
    seconds: int  # of sound
    longest: int | None = None  # tokens of the longest text, where each is read by itself


def measure(request: Asked) -> PromptSize:
    """Looks at all that the provider will read, in time linear in its length."""
    if isinstance(request, EmbeddingRequest):
        return _measure_inputs(request)
    return _measure_messages(request)


def _measure_inputs(request: EmbeddingRequest) -> PromptSize:
    """Texts by themselves, with nothing around them."""
    tokens = [count_text(text) for text in request.texts]
    return _size(request.prompt_texts(), tokens=sum(tokens), longest=max(tokens))


def _measure_messages(request: ChatRequest) -> PromptSize:
    texts = request.prompt_texts()
    tokens = _OPENS_ANSWER + _AROUND_MESSAGE * len(request.messages)
    images: list[Image] = []
    seconds = 0
    for message in request.messages:
        tokens += _count_role(message["role"])
        if name := message.get("name"):
            tokens += _AROUND_NAME
            texts.append(name)
        content = message.get("content")
        for part in content if isinstance(content, list) else ():
            if part["type"] == "image_url":
                images.append(read_image(part["image_url"]))
            elif part["type"] == "input_audio":
                seconds += len(part["input_audio"]["data"]) // _SOUND_DIGITS_A_SECOND + 1
    return _size(
        texts,
        tokens=tokens + sum(map(count_text, texts)),
        messages=len(request.messages),
        has_tools=any(name in (request.parameters or {}) for name in _READ_AS_TOOLS),
        images=tuple(images),
        seconds=seconds,
    )


def _size(
    texts: list[str],
    *,
    tokens: int,
    messages: int = 0,
    has_tools: bool = False,
    images: tuple[Image, ...] = (),
    seconds: int = 0,
    longest: int | None = None,
) -> PromptSize:
    """With what there is to count in the texts' bytes."""
    data = "".join(texts).encode(errors="surrogatepass")
    return PromptSize(
        tokens=tokens,
        utf8=len(data),
        digits=count_among(data, _DIGITS),
        capitals=count_among(data, _CAPITALS),
        messages=messages,
        has_tools=has_tools,
        images=images,
        seconds=seconds,
        longest=longest,
    )


def counted(size: PromptSize, families: Collection[Family]) -> int:
    """Tokens by OpenAI's rule, with images and sound at the most that one of the families takes."""
    return size.tokens + max(_attached(size, family) for family in families)


def bound(size: PromptSize, families: Collection[Family]) -> int:
    """The most tokens that an ordinary prompt of this size takes in any of the families.

    A text that is made to be cut finely may take four times its part of the bound.
    """
    return max(
        text_bound(size, family) + _around(size, family) + _attached(size, family)
        for family in families
    )


def _around(size: PromptSize, family: Family) -> int:
    """What stands around messages; texts that are read by themselves have nothing around them."""
    if size.longest is not None:
        return 0
    tools = family.with_tools if size.has_tools else 0
    return size.messages * family.around + family.extra + tools


def text_bound(size: PromptSize, family: Family) -> int:
    """Its text's part of the bound."""
    tokens = family.factor * size.tokens + beyond_factor(size, family)
    return math.ceil(max(tokens, size.utf8 / _BYTES_A_TOKEN))


def beyond_factor(size: PromptSize, family: Family) -> float:
    """What the text's digits and capitals take beyond the family's factor."""
    more_digits = size.digits * 2 / 3 if family.each_digit else 0.0
    return more_digits + size.capitals * family.each_capital


def _attached(size: PromptSize, family: Family) -> int:
    """What images and sound take."""
    return sum(map(family.image, size.images)) + size.seconds * family.sound
