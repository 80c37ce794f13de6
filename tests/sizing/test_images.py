"""What an image takes: its size as its first bytes tell it, and the rules."""

import base64
import struct
import zlib

import pytest

from gateway.sizing.images import GeminiTiles, Image, OpenAITiles, Patches, read_image

GPT_4O = OpenAITiles(85, 170)
CLAUDE = Patches(edge=28, most=1_600, longest=1_568)


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def segment(marker: int, data: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(data) + 2) + data


def jpeg(width: int, height: int, *before: bytes) -> bytes:
    frame = struct.pack(">BHHB", 8, height, width, 3) + bytes(9)
    return b"".join((b"\xff\xd8", *before, segment(0xC0, frame), b"\xff\xd9"))


def gif(width: int, height: int) -> bytes:
    return b"GIF89a" + struct.pack("<HH", width, height) + bytes(3) + b";"


def webp(width: int, height: int) -> bytes:
    canvas = b"".join((side - 1).to_bytes(3, "little") for side in (width, height))
    data = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + canvas
    return b"RIFF" + struct.pack("<I", len(data)) + data


def sent(data: bytes, kind: str = "png", **fields: str) -> dict[str, str]:
    return {"url": f"data:image/{kind};base64,{base64.b64encode(data).decode()}"} | fields


@pytest.mark.parametrize("make", [png, jpeg, gif, webp])
def test_the_first_bytes_of_a_file_tell_its_size(make: type) -> None:
    assert read_image(sent(make(1_920, 1_080))) == Image(1_920, 1_080)


def test_what_the_address_calls_it_does_not_matter() -> None:
    assert read_image(sent(gif(3, 2), kind="jpeg")) == Image(3, 2)


def test_a_photo_s_size_is_found_behind_its_exif_thumbnail_and_profile() -> None:
    before = [segment(0xE1, b"Exif\0\0" + bytes(60_000)), segment(0xE2, bytes(65_000))]

    assert read_image(sent(jpeg(4_032, 3_024, *before))) == Image(4_032, 3_024)


@pytest.mark.parametrize(
    "part",
    [
        {"url": "https://example.com/photo.png"},
        {"url": "https://example.com/;base64," + base64.b64encode(png(5, 5)).decode()},
        {"url": "data:image/png;base64,"},
        {"url": "data:image/png;base64,not base 64 at all!"},
        {"url": "data:image/png;base64,iVBORw0KGgo"},
        {"url": "data:image/png," + "A" * 400},
        {"url": "data:" + "x" * 400 + ";base64," + base64.b64encode(png(5, 5)).decode()},
        {"url": ""},
        sent(png(1, 1)[:18]),
        sent(png(0, 7)),
        sent(b"RIFF\0\0\0\0WAVEfmt " + bytes(40)),
        sent(b"<svg width='5' height='5'></svg>", kind="svg+xml"),
        sent(b"P6 5 5 255 " + bytes(75)),
        sent(jpeg(9, 9)[:7]),
        sent(jpeg(9, 9, *[segment(0xE2, bytes(65_000))] * 5)),
    ],
)
def test_an_image_whose_size_can_t_be_told_takes_the_most_that_its_rule_has(
    part: dict[str, str],
) -> None:
    image = read_image(part)

    assert image == Image()
    assert (GPT_4O(image), CLAUDE(image), GeminiTiles()(image)) == (1_445, 1_600, 6_192)


@pytest.mark.parametrize("make", [png, jpeg, gif, webp])
def test_no_broken_file_is_an_error(make: type) -> None:
    whole = make(640, 480)
    for end in range(len(whole)):
        read_image(sent(whole[:end]))
    for at in range(len(whole)):
        for byte in (0, 1, 0x7F, 0x80, 0xFF):
            read_image(sent(whole[:at] + bytes([byte]) + whole[at + 1 :]))


class Watched(str):
    """An address that notes how much of it is read."""

    __slots__ = ("read",)

    def __getitem__(self, key: object) -> str:
        part = super().__getitem__(key)  # type: ignore[index]
        self.read = getattr(self, "read", 0) + len(part)
        return part


def test_of_a_large_file_only_the_beginning_is_read() -> None:
    endless = jpeg(9, 9, *[segment(0xE2, bytes(65_000))] * 100)
    address = Watched(sent(endless)["url"])

    read_image({"url": address})

    assert address.read < 360_000 < len(address) // 20


def test_a_file_of_nothing_but_tiny_segments_is_given_up() -> None:
    assert read_image(sent(jpeg(9, 9, *[segment(0xE2, b"")] * 10))) == Image(9, 9)
    assert read_image(sent(jpeg(9, 9, *[segment(0xE2, b"")] * 60_000))) == Image()


@pytest.mark.parametrize(
    ("width", "height", "tokens"),
    [  # OpenAI's own examples, then the least and the longest
        (1_024, 1_024, 765),
        (2_048, 4_096, 1_105),
        (1, 1, 255),
        (8_000, 3_000, 1_445),
        (100_000, 1, 765),
    ],
)
def test_tiles_are_counted_as_openai_does(width: int, height: int, tokens: int) -> None:
    assert GPT_4O(Image(width, height)) == tokens
    assert GPT_4O(Image(width, height, low_detail=True)) == 85


def test_low_detail_is_read_from_the_request() -> None:
    assert read_image({"url": "https://example.com/a.png", "detail": "low"}).low_detail
    assert not read_image({"url": "https://example.com/a.png", "detail": "high"}).low_detail
    assert not read_image({"url": "https://example.com/a.png"}).low_detail


@pytest.mark.parametrize(
    ("width", "height", "tokens"),
    [
        (200, 200, 64),
        (1_000, 1_000, 1_296),
        (1_092, 1_092, 1_521),
        (8_000, 8_000, 1_600),
        (8_000, 10, 56),  # fit into 1,568 first
    ],
)
def test_patches_are_counted_as_claude_does(width: int, height: int, tokens: int) -> None:
    assert CLAUDE(Image(width, height)) == tokens


@pytest.mark.parametrize(
    ("width", "height", "tokens"),
    [
        (384, 384, 258),
        (385, 384, 1_032),
        (960, 540, 1_548),  # Google's own example
        (3_072, 3_072, 4_128),
        (9_000, 9_000, 4_128),
        (3_072, 384, 6_192),
        (9_999, 9, 3_096),
    ],
)
def test_tiles_are_counted_as_gemini_does(width: int, height: int, tokens: int) -> None:
    assert GeminiTiles()(Image(width, height)) == tokens
