"""Test cards: what is right to type in, and what a bank says to it."""

import datetime as dt
import hashlib
import re
from typing import Any

DECLINED = "4000000000000002"
AUTHENTICATE = "4000002500003155"
DECLINES_LATER = "4000000000000341"
NO_FUNDS = "4000000000009995"
_DECLINED = "Your card was declined."


def mistake(number: str, expiry: str, cvc: str, now: int) -> str:
    """Why a card can't be what was typed; empty when it can."""
    digits = re.sub(r"[ -]", "", number)
    if not re.fullmatch(r"[0-9]{13,19}", digits) or not _luhn(digits):
        return "Your card number is invalid."
    typed = re.fullmatch(r"(0[1-9]|1[0-2]) ?/ ?(?:20)?([0-9]{2})", expiry.strip())
    today = dt.datetime.fromtimestamp(now, dt.UTC)
    if not typed or (2000 + int(typed[2]), int(typed[1])) < (today.year, today.month):
        return "Your card's expiration date is incomplete or in the past."
    if not re.fullmatch(r"[0-9]{3,4}", cvc.strip()):
        return "Your card's security code is incomplete."
    return ""


def refusal(number: str, *, renewal: bool) -> str:
    """What the bank says against a charge; empty when it goes through."""
    if number == NO_FUNDS:
        return "Your card has insufficient funds."
    if number == DECLINED or (renewal and number == DECLINES_LATER):
        return _DECLINED
    return ""


def card(number: str, expiry: str) -> dict[str, Any]:
    """The card's shape: never its number."""
    month, year = expiry.replace(" ", "").split("/")
    return {
        "brand": {"4": "visa", "5": "mastercard", "3": "amex"}.get(number[0], "unknown"),
        "last4": number[-4:],
        "exp_month": int(month),
        "exp_year": 2000 + int(year[-2:]),
        "fingerprint": hashlib.sha256(number.encode()).hexdigest()[:16],
        "funding": "credit",
        "country": "US",
    }


def behaviour(number: str) -> str:
    """The test card's number if it acts specially; a number that doesn't is not kept."""
    special = (DECLINED, AUTHENTICATE, DECLINES_LATER, NO_FUNDS)
    return number if number in special else ""


def _luhn(digits: str) -> bool:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (1 + place % 2)
        total += doubled - 9 * (doubled > 9)
    return total % 10 == 0
