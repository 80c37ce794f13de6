"""A normal week: how many there are of each kind, and where they live."""

import uuid
from collections.abc import Callable, Iterator
from random import Random
from typing import Final

from bench import abuse_people as people
from bench import abuse_programs as programs
from bench.abuse_cast import Person, Words, an_address
from bench.abuse_world import Behaviour

_ZONES: Final = (-8, -5, -3, 0, 1, 2, 5.5, 8, 9)  # hours from UTC
_PUBLIC_HOLIDAY: Final = 3  # the week's Thursday, in the American zones

_MIX: Final[tuple[tuple[Callable[[Person, Words, range], Behaviour], float, str], ...]] = (
    (people.office, 0.345, "free"),
    (people.colleague, 0.015, "free"),
    (people.workshop_guest, 0.01, "free"),
    (people.student, 0.15, "free"),
    (people.phone, 0.12, "free"),
    (people.visitor, 0.09, "visitor"),
    (people.conference_guest, 0.06, "visitor"),
    (people.class_member, 0.03, "free"),
    (programs.application, 0.03, "free"),
    (people.plugin, 0.03, "free"),
    (people.night_owl, 0.025, "free"),
    (programs.paying_program, 0.02, "pro"),
    (programs.scheduled, 0.02, "free"),
    (people.tunnel, 0.015, "free"),
    (programs.report, 0.01, "free"),
    (programs.batch, 0.01, "free"),
    (programs.all_at_once, 0.006, "free"),
    (programs.sleeping_loop, 0.006, "free"),
    (programs.overscheduled, 0.004, "free"),
    (people.anonymous_network, 0.004, "free"),
)


def everybody(count: int, days: range, seed: int) -> Iterator[tuple[Person, Behaviour]]:
    """That many, in the week's mix; at least one of each kind."""
    dice = Random(seed)
    words = Words(dice)
    kinds = [entry for entry in _MIX for _ in range(max(1, round(entry[1] * count)))]
    while len(kinds) < count:
        kinds.append(_MIX[0])
    for kind, _, tier in kinds[:count] if len(kinds) > count else kinds:
        person = _person(kind.__name__, tier, dice)
        yield person, kind(person, words, days)


_AT_ONE_PLACE: Final = (
    "student", "class_member", "conference_guest", "workshop_guest", "colleague"
)  # fmt: skip


def _person(kind: str, tier: str, dice: Random) -> Person:
    own = Random(dice.getrandbits(64))
    address = people.DORMITORY if kind == "student" else an_address(own)
    zone = 1.0 if kind in _AT_ONE_PLACE else own.choice(_ZONES)
    away: tuple[int, ...] = ()
    if own.random() < 0.1:
        first = own.randrange(7)
        away = tuple(range(first, first + 4))
    elif zone < -2:
        away = (_PUBLIC_HOLIDAY,)
    return Person(kind, uuid.UUID(int=own.getrandbits(128)), tier, address, own, zone, away)
