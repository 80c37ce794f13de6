"""Requests as the detectors see them, with what a test doesn't care about filled in."""

import uuid
from collections.abc import Iterable
from typing import Any, Final

from gateway.safety.facts import AccountFacts, AddressFacts, Alike, Seen

NOON: Final = 1_764_072_000.0  # of some Tuesday
HOUR: Final = 3_600.0
SOMEBODY: Final = uuid.UUID(int=7)


def seen(at: float, **fields: Any) -> Seen:
    """An admitted request of somebody's on the free plan."""
    values = {
        "account": SOMEBODY,
        "tier": "free",
        "address": "203.0.113.9",
        "admitted": True,
    }
    return Seen(**values | fields, at=at)


def every(seconds: float, times: int, **fields: Any) -> list[Seen]:
    """That many requests, at the same distance, from a moment that is no full minute on."""
    start = NOON + 23
    return [seen(start + number * seconds, **fields) for number in range(times)]


def of_account(requests: Iterable[Seen], alike: Alike = Alike()) -> AccountFacts:  # noqa: B008
    """Facts of their sender."""
    ascending = sorted(requests, key=lambda one: one.at)
    return AccountFacts(ascending[-1].at, ascending, alike)


def at_address(requests: Iterable[Seen]) -> AddressFacts:
    """Facts of where they came from."""
    ascending = sorted(requests, key=lambda one: one.at)
    return AddressFacts(ascending[-1].at, ascending, {"visitor": 5, "free": 10})
