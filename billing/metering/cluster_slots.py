"""Which slot of a cluster a key of the counter store is in."""

import zlib
from typing import Final

PARTITIONS: Final = 256


def partition_tag(kind: str, name: bytes) -> str:
    """What the keys of a name begin with: those of one partition are in the same slot.

    `kind` is a letter: names of different kinds are parted from each other.
    """
    return f"scalix:{{{kind}{zlib.crc32(name) % PARTITIONS:03}}}"
