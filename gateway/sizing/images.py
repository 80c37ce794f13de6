"""How many tokens an image takes: its size from its first bytes, and each family's public rule.

The rules are those of OpenAI's guide "Images and vision" (tiles of 512 pixels, patches of 32),
Anthropic's "Vision" (patches of 28), Google's "Image understanding" (258 for each tile) and "Media
resolution" (1,120 from Gemini 3), Alibaba's qwen-vl-utils, and the image encoders of Llama 3.2,
DeepSeek-VL2 and Pixtral.  For OpenAI's newest models and the higher resolution of Claude's, figures
of the crate vision-squeezer 0.6 were taken.
"""

import binascii
import io
import math
import struct
from dataclasses import dataclass
from typing import Any, Final, Protocol

import imagesize

_LOOKS: Final = (4_096, 349_528)  # base-64 digits; the second are 256 KiB: a photo's Exif and more
_HEAD: Final = 300  # characters of a data URL in which its data begins
_MOST_READS: Final = 1_000
_STARTS: Final = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8", b"GIF8", b"RIFF")


@dataclass(frozen=True, slots=True)
class Image:
    """What a rule asks of an image; 0 by 0 pixels where its size can't be told."""

    width: int = 0
    height: int = 0
    low_detail: bool = False


class ImageRule(Protocol):
    """The tokens that an image takes at most; the rule's largest where its size is unknown."""

    def __call__(self, image: Image, /) -> int: ...


def read_image(part: dict[str, Any]) -> Image:
    """The image of a message's `image_url`.  An address is not fetched: its size is unknown."""
    url, low_detail = part["url"], part.get("detail") == "low"
    start = url.find(";base64,", 0, _HEAD) + len(";base64,")
    if url.startswith("data:") and start >= len(";base64,"):
        for look in _LOOKS:
            if size := _size_of(url[start : start + look]):
                return Image(*size, low_detail)
            if len(url) <= start + look:
                break
    return Image(low_detail=low_detail)


def _size_of(digits: str) -> tuple[int, int] | None:
    """Width and height, from the first base-64 digits of a PNG, JPEG, GIF or WebP file."""
    try:
        first = binascii.a2b_base64(digits[: len(digits) // 4 * 4])
        # Other formats have parsers that a caller could keep busy.
        if not first.startswith(_STARTS):
            return None
        width, height = imagesize.get(_Glance(first))
    except (ValueError, struct.error):  # cut off in the middle of what tells it, or no image
        return None
    return (width, height) if width > 0 and height > 0 else None


class _Glance(io.BytesIO):
    """A file that is given up after some reads: a photo's size is found in a hundred of them, and
    a file of nothing but tiny segments would keep Python busy.
    """

    _reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self._reads += 1
        if self._reads > _MOST_READS:
            raise ValueError("too many pieces")
        return super().read(size)


@dataclass(frozen=True, slots=True)
class Fixed:
    """So many tokens, whatever its size."""

    tokens: int

    def __call__(self, _image: Image, /) -> int:
        return self.tokens


@dataclass(frozen=True, slots=True)
class Patches:
    """One token for each patch that the image takes when it is fit into the longest edge.

    Above `most` patches an image is scaled down until it has no more of them.
    """

    edge: int
    most: int
    longest: int = 1_000_000
    times: float = 1.0

    def __call__(self, image: Image, /) -> int:
        patches = self.most
        if image.width:
            scale = min(1.0, self.longest / max(image.width, image.height))
            patches = min(_squares(image, scale, self.edge), self.most)
        return math.ceil(patches * self.times)


@dataclass(frozen=True, slots=True)
class OpenAITiles:
    """A base, and so much for each tile of 512 pixels of what is fit into 2,048 by 2,048 and then
    into 768 on its shorter side.  Low detail takes the base.
    """

    base: int
    tile: int

    def __call__(self, image: Image, /) -> int:
        if image.low_detail:
            return self.base
        tiles = 8  # 2,048 by 768; the rule's own figure for the longest images
        if image.width:
            scale = min(1.0, 2_048 / max(image.width, image.height))
            scale *= min(1.0, 768 / (min(image.width, image.height) * scale))
            tiles = _squares(image, scale, 512)
        return self.base + self.tile * tiles


@dataclass(frozen=True, slots=True)
class GeminiTiles:
    """258 tokens up to 384 by 384 pixels, else for each tile of what is fit into 3,072 by 3,072.

    A tile is two thirds of the shorter side, but no less than 256 pixels and no more than 768.
    """

    def __call__(self, image: Image, /) -> int:
        if not image.width:
            return 258 * 24  # a strip of 3,072 by 384
        if max(image.width, image.height) <= 384:
            return 258
        scale = min(1.0, 3_072 / max(image.width, image.height))
        tile = int(min(image.width, image.height) * scale / 1.5)
        return 258 * _squares(image, scale, min(max(tile, 256), 768))


def _squares(image: Image, scale: float, edge: int) -> int:
    """The squares of that edge that cover the scaled image; what is no whole pixel is no excess."""
    across, down = (
        math.ceil(round(side * scale, 3) / edge) or 1 for side in (image.width, image.height)
    )
    return across * down
