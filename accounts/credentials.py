"""The text of a personal token: made here, checked here, stored nowhere.

    scalix_<32 base-32 digits: 160 random bits><6 base-32 digits: CRC-30 check>

The fixed prefix and the check let secret scanners recognise a token without asking us, and let us
refuse a mistyped one without a look-up.  Only a SHA-256 digest is stored: 160 random bits need no
slow hash.
"""

import base64
import hashlib
import secrets
import zlib
from typing import Final

PREFIX: Final = "scalix_"
LOOKUP_LENGTH: Final = len(PREFIX) + 8
_RANDOM_BYTES: Final = 20
_BODY_LENGTH: Final = 32
_CHECK_LENGTH: Final = 6
_DIGITS: Final = "abcdefghijklmnopqrstuvwxyz234567"


def new_secret() -> str:
    """A new token's full text, to be shown to its owner once."""
    body = base64.b32encode(secrets.token_bytes(_RANDOM_BYTES)).decode().lower()
    return f"{PREFIX}{body}{_check(body)}"


def is_well_formed(secret: str) -> bool:
    """Whether `secret` has a token's form and right check digits; it may still be unknown."""
    body = secret[len(PREFIX) : len(PREFIX) + _BODY_LENGTH]
    return (
        len(secret) == len(PREFIX) + _BODY_LENGTH + _CHECK_LENGTH
        and secret.startswith(PREFIX)
        and all(digit in _DIGITS for digit in body)
        and secret[len(PREFIX) + _BODY_LENGTH :] == _check(body)
    )


def digest(secret: str) -> bytes:
    """What is stored in place of the token: 32 bytes."""
    return hashlib.sha256(secret.encode()).digest()


def lookup_prefix(secret: str) -> str:
    """The part that is stored in clear, to find the row and to show it in lists."""
    return secret[:LOOKUP_LENGTH]


def _check(body: str) -> str:
    value = zlib.crc32(body.encode()) & 0x3FFF_FFFF
    return "".join(_DIGITS[value >> shift & 31] for shift in range(25, -1, -5))
