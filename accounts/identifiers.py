"""Identifiers that sort by time: UUID version 7, and its form on the wire.

A ledger row's id *is* its request id: `req_` and the UUID in Crockford's base 32, so a request
that a user quotes is found by primary key.  Source: RFC 9562 §5.7; Crockford's Base 32.
"""

import datetime as dt
import os
import time
import uuid

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_VALUES = {symbol: value for value, symbol in enumerate(_ALPHABET)}
_WIRE_LENGTH = 26  # 130 bits for 128
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
_SHIFTS = range(120, -1, -10)
_UNIX_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MILLISECOND = dt.timedelta(milliseconds=1)


def uuid7(at_ms: int | None = None) -> uuid.UUID:
    """A new UUIDv7; `at_ms` is the Unix time in milliseconds that it carries, now if not given."""
    milliseconds = time.time_ns() // 1_000_000 if at_ms is None else at_ms
    random_bits = int.from_bytes(os.urandom(10), "big")
    value = (milliseconds & 0xFFFF_FFFF_FFFF) << 80 | random_bits
    value = value & ~(0xF << 76) | 0x7 << 76  # version
    value = value & ~(0x3 << 62) | 0x2 << 62  # variant
    return uuid.UUID(int=value)


def uuid7_floor(moment: dt.datetime) -> uuid.UUID:
    """The lowest UUID whose time is `moment`: the bound for "since then" on a UUIDv7 column."""
    return uuid.UUID(int=(moment - _UNIX_EPOCH) // _MILLISECOND << 80)


def encode(prefix: str, value: uuid.UUID) -> str:
    """`prefix`, an underscore and the 26 base-32 digits of `value`: `req_01K…`."""
    number = value.int
    return f"{prefix}_{''.join([_PAIRS[number >> shift & 1023] for shift in _SHIFTS])}"


def decode(prefix: str, text: str) -> uuid.UUID:
    """The UUID that `encode(prefix, …)` wrote; ValueError for anything else."""
    head, _, digits = text.partition("_")
    if head != prefix or len(digits) != _WIRE_LENGTH or not digits.isascii():
        raise ValueError(f"{text!r} is no {prefix} identifier")
    number = 0
    for symbol in digits.upper():
        if symbol not in _VALUES:
            raise ValueError(f"{text!r} is no {prefix} identifier")
        number = number << 5 | _VALUES[symbol]
    if number >> 128:
        raise ValueError(f"{text!r} is no {prefix} identifier")
    return uuid.UUID(int=number)
