"""The tokenizer inside a GGUF file, of the demo model: as llama.cpp cuts text for it."""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Final

from tokenizers import Tokenizer, models, pre_tokenizers

_NUMBERS: Final = {
    0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q",
    12: "<d",
}  # fmt: skip
_TEXT: Final = 8
_LIST: Final = 9


def tokenizer_in(path: Path) -> Callable[[str], int]:
    """What counts the tokens of a text; ValueError for a file that isn't SmolLM's."""
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise ValueError(f"{path} is no GGUF file")
        _, _, entries = struct.unpack("<IQQ", file.read(20))
        found = {_value(file, _TEXT): _value(file, _number(file, "<I")) for _ in range(entries)}
    if found["tokenizer.ggml.pre"] != "smollm":
        raise ValueError(f"{path} has another tokenizer than SmolLM's")
    vocabulary = {token: at for at, token in enumerate(found["tokenizer.ggml.tokens"])}
    merges = [tuple(pair.split(" ")) for pair in found["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)


def _value(file: BinaryIO, kind: int) -> Any:
    if kind == _TEXT:
        return file.read(_number(file, "<Q")).decode(errors="replace")
    if kind == _LIST:
        inner, length = _number(file, "<I"), _number(file, "<Q")
        return [_value(file, inner) for _ in range(length)]
    return _number(file, _NUMBERS[kind])


def _number(file: BinaryIO, form: str) -> Any:
    return struct.unpack(form, file.read(struct.calcsize(form)))[0]
