"""Test cards: what is right to type in, and what a bank says to it.

Only published test numbers are taken: a real card's number goes no further than here.
"""

import datetime as dt
import hashlib
import re
from dataclasses import dataclass
from typing import Any, Final

GOOD: Final = "4242424242424242"
DECLINED: Final = "4000000000000002"
AUTHENTICATE: Final = "4000002500003155"
DECLINES_LATER: Final = "4000000000000341"
NO_FUNDS: Final = "4000000000009995"

_BRANDS: Final = {
    GOOD: "visa",
    DECLINED: "visa",
    AUTHENTICATE: "visa",
    DECLINES_LATER: "visa",
    NO_FUNDS: "visa",
    "4000056655665556": "visa",
    "4111111111111111": "visa",
    "5555555555554444": "mastercard",
    "2223003122003222": "mastercard",
    "5200828282828210": "mastercard",
    "5105105105105100": "mastercard",
    "378282246310005": "amex",
    "371449635398431": "amex",
    "6011111111111117": "discover",
    "3056930009020004": "diners",
    "3566002020360505": "jcb",
    "6200000000000005": "unionpay",
}

ASKS: Final = "asks"
"""How a card acts whose bank asks for 3-D Secure."""
_BEHAVIOURS: Final = {
    DECLINED: "declined",
    AUTHENTICATE: ASKS,
    DECLINES_LATER: "declined_later",
    NO_FUNDS: "no_funds",
}


@dataclass(frozen=True)
class CardToTry:
    """A card that the pages offer."""

    key: str
    number: str
    does: str


TO_TRY: Final = (
    CardToTry("good", GOOD, "is accepted"),
    CardToTry("declined", DECLINED, "is declined"),
    CardToTry("authenticate", AUTHENTICATE, "asks for 3-D Secure"),
    CardToTry("later", DECLINES_LATER, "is accepted now, declined later"),
)

TOKENS: Final = {
    "pm_card_visa": GOOD,
    "pm_card_mastercard": "5555555555554444",
    "pm_card_chargeDeclined": DECLINED,
    "pm_card_chargeCustomerFail": DECLINES_LATER,
}
"""Stripe's names of ready-made payment methods."""


@dataclass(frozen=True)
class Refusal:
    """Why a card is not taken, and which field of the form it is about."""

    field: str
    message: str


def to_try(key: str) -> dict[str, str]:
    """A form with this test card filled in; empty for a key that is none."""
    number = next((one.number for one in TO_TRY if one.key == key), "")
    return {"number": _grouped(number), "expiry": "12/34", "cvc": "123"} if number else {}


def refusal(number: str, expiry: str, cvc: str, now: int) -> Refusal | None:
    """What is wrong with what was typed, or what the bank says when the card is first used."""
    digits = plain(number)
    if not re.fullmatch(r"[0-9]{12,19}", digits) or not _luhn(digits):
        return Refusal("number", "Your card number is invalid.")
    if digits not in _BRANDS:
        return Refusal("number", "This is a sandbox: it takes test cards only, never a real one.")
    if not _is_to_come(expiry, now):
        return Refusal("expiry", "Your card's expiration date is incomplete or in the past.")
    if not re.fullmatch(r"[0-9]{3,4}", cvc.strip()):
        return Refusal("cvc", "Your card's security code is incomplete.")
    said = bank_says(behaviour(digits), renewal=False)
    return Refusal("number", said) if said else None


def bank_says(behaves: str, *, renewal: bool) -> str:
    """What the bank says against a charge; empty when it goes through."""
    if behaves == _BEHAVIOURS[NO_FUNDS]:
        return "Your card has insufficient funds."
    if behaves == _BEHAVIOURS[DECLINED] or (renewal and behaves == _BEHAVIOURS[DECLINES_LATER]):
        return "Your card was declined."
    return ""


def card(number: str, expiry: str) -> dict[str, Any]:
    """The card's shape: never its number."""
    digits = plain(number)
    month, year = expiry.replace(" ", "").split("/")
    return {
        "brand": _BRANDS[digits],
        "last4": digits[-4:],
        "exp_month": int(month),
        "exp_year": 2000 + int(year[-2:]),
        "fingerprint": hashlib.sha256(digits.encode()).hexdigest()[:16],
        "funding": "credit",
        "country": "US",
    }


def behaviour(number: str) -> str:
    """In a word how a test card acts, since its number is not kept; empty: as any good one."""
    return _BEHAVIOURS.get(number, "")


def plain(number: str) -> str:
    """The number without spaces and dashes."""
    return re.sub(r"[ -]", "", number)


def _grouped(number: str) -> str:
    return " ".join(number[at : at + 4] for at in range(0, len(number), 4))


def _is_to_come(expiry: str, now: int) -> bool:
    found = re.fullmatch(r"(0[1-9]|1[0-2]) ?/ ?(?:20)?([0-9]{2})", expiry.strip())
    today = dt.datetime.fromtimestamp(now, dt.UTC)
    if found is None:
        return False
    return (2000 + int(found[2]), int(found[1])) >= (today.year, today.month)


def _luhn(digits: str) -> bool:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (1 + place % 2)
        total += doubled - 9 * (doubled > 9)
    return total % 10 == 0
