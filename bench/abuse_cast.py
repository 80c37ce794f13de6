"""Who takes part in the simulated week, and the words that they have."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from bench.abuse_world import DAY, HOUR, MONDAY, Ask, Behaviour


@dataclass(slots=True)
class Person:
    """A user with dice of their own."""

    kind: str
    account: uuid.UUID
    tier: str
    address: str
    dice: Random
    zone: float = 0.0
    away: tuple[int, ...] = ()  # days of the week

    def ask(self, at: float, text: str, address: str = "") -> Ask:
        """One request."""
        return Ask(at, self.account, self.tier, address or self.address, text)

    def midnight(self, day: int) -> float:
        """When the week's day begins where the person lives."""
        return MONDAY + day * DAY - self.zone * HOUR


class Words:
    """Texts that are as different, and as alike, as people's are."""

    def __init__(self, dice: Random) -> None:
        letters = "aeioutnsrlhdcmpgbfvk"
        self._vocabulary = [
            "".join(dice.choices(letters, k=dice.randint(2, 9))) for _ in range(4_000)
        ]
        self.homework = [self.text(dice, 60) for _ in range(12)]
        self.exercises = [self.text(dice, 35) for _ in range(10)]
        self.template = self.text(dice, 40)

    def text(self, dice: Random, length: int) -> str:
        """That many words; frequent ones are frequent."""
        count = len(self._vocabulary)
        return " ".join(self._vocabulary[int(count * dice.random() ** 2)] for _ in range(length))

    def prompt(self, dice: Random) -> str:
        """Something somebody wants to know."""
        return self.text(dice, max(3, int(dice.lognormvariate(3.0, 0.8))))


def an_address(dice: Random) -> str:
    parts = (
        dice.randrange(11, 99),
        dice.randrange(256),
        dice.randrange(256),
        dice.randrange(1, 255),
    )
    return ".".join(map(str, parts))


def changed(behaviour: Behaviour, change: Callable[[Ask], Ask]) -> Behaviour:
    """The same behaviour with each request changed."""
    ask = next(behaviour, None)
    while ask is not None:
        admitted = yield change(ask)
        try:
            ask = behaviour.send(admitted)
        except StopIteration:
            return
