"""Attacks as they come: each says who takes part, and what they do until they are stopped."""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Final

from bench.abuse_cast import Words
from bench.abuse_world import DAY, HOUR, MONDAY, Ask, Behaviour


@dataclass(frozen=True, slots=True)
class Attack:
    """Who takes part, and from where, if the place itself is what gives it away."""

    behaviours: list[Behaviour]
    accounts: frozenset[object]
    addresses: frozenset[object] = frozenset()


def burst(dice: Random, words: Words) -> Attack:
    """One account, two to eight requests a second."""
    account, address, every = _account(dice), _anywhere(dice), 1 / dice.uniform(2, 8)

    def go() -> Behaviour:
        at = _start(dice)
        while True:
            yield Ask(at, account, "free", address, words.prompt(dice))
            at += dice.expovariate(1 / every)

    return Attack([go()], frozenset([account]))


def near_duplicates(dice: Random, words: Words) -> Attack:
    """Ten to twenty-five accounts, each elsewhere: one prompt with a few words changed."""
    accounts = [_account(dice) for _ in range(dice.randint(10, 25))]
    base = words.text(dice, 60).split()
    begin = _start(dice)

    def go(account: uuid.UUID) -> Behaviour:
        at, address = begin + dice.uniform(0, 300), _anywhere(dice)
        while True:
            changed = list(base)
            for place in dice.sample(range(len(base)), 2):
                changed[place] = words.text(dice, 1)
            yield Ask(at, account, "free", address, " ".join(changed))
            at += dice.uniform(60, 400)

    return Attack([go(account) for account in accounts], frozenset(accounts))


def rotating_addresses(dice: Random, words: Words) -> Attack:
    """One account behind a pool of proxies: each request from another network."""
    account = _account(dice)

    def go() -> Behaviour:
        at = _start(dice)
        while True:
            yield Ask(at, account, "free", _anywhere(dice), words.prompt(dice))
            at += dice.uniform(60, 500)

    return Attack([go()], frozenset([account]))


def many_accounts(dice: Random, words: Words) -> Attack:
    """A farm: thirty to sixty accounts at one address, each used up before the next."""
    accounts = [_account(dice) for _ in range(dice.randint(30, 60))]
    address, side_by_side, begin = _anywhere(dice), dice.randint(1, 4), _start(dice)

    def go(ours: list[uuid.UUID]) -> Behaviour:
        at = begin + dice.uniform(0, 60)
        while True:
            for account in ours:
                for _ in range(10):
                    yield Ask(at, account, "free", address, words.prompt(dice))
                    at += dice.uniform(3, 40)

    behaviours = [go(accounts[first::side_by_side]) for first in range(side_by_side)]
    return Attack(behaviours, frozenset(accounts), frozenset([address]))


def slow_scraping(dice: Random, words: Words) -> Attack:
    """One account, a request every five to twelve minutes to the second, day and night."""
    account, address, every = _account(dice), _anywhere(dice), dice.uniform(300, 720)

    def go() -> Behaviour:
        at = _start(dice)
        while True:
            yield Ask(at, account, "free", address, words.prompt(dice))
            at += every + dice.uniform(0, 1)

    return Attack([go()], frozenset([account]))


def dropped_visitors(dice: Random, words: Words) -> Attack:
    """A program that is a new visitor each time, from one address."""
    address, visitors = _anywhere(dice), set[object]()
    accounts = [_account(dice) for _ in range(3_000)]
    visitors.update(accounts)

    def go() -> Behaviour:
        at = _start(dice)
        for account in accounts:
            yield Ask(at, account, "visitor", address, words.prompt(dice))
            at += 45 + dice.uniform(0, 1)

    return Attack([go()], frozenset(visitors), frozenset([address]))


def under_every_limit(dice: Random, words: Words) -> Attack:
    """A scraper that keeps to the plan: every half hour, forty-eight a day, one address."""
    account, address = _account(dice), _anywhere(dice)

    def go() -> Behaviour:
        at = _start(dice)
        while True:
            yield Ask(at, account, "free", address, words.prompt(dice))
            at += 1_800 + dice.uniform(0, 1)

    return Attack([go()], frozenset([account]))


Kind = Callable[[Random, Words], Attack]

ATTACKS: Final[tuple[Kind, ...]] = (
    burst,
    near_duplicates,
    rotating_addresses,
    many_accounts,
    slow_scraping,
)
BEYOND: Final[tuple[Kind, ...]] = (dropped_visitors, under_every_limit)
"""What nobody asked for: one more that is found, and one that is not."""


def _account(dice: Random) -> uuid.UUID:
    return uuid.UUID(int=dice.getrandbits(128))


def _anywhere(dice: Random) -> str:
    return ".".join(str(dice.randrange(11, 199)) for _ in range(4))


def _start(dice: Random) -> float:
    return MONDAY + DAY + dice.uniform(0, 24) * HOUR


def until_request(behaviours: list[Behaviour], most: int) -> Iterator[Behaviour]:
    """The behaviours, which end together when they have asked that often."""
    asked = 0

    def bounded(behaviour: Behaviour) -> Behaviour:
        nonlocal asked
        ask = next(behaviour, None)
        while ask is not None and asked < most:
            asked += 1
            admitted = yield ask
            try:
                ask = behaviour.send(admitted)
            except StopIteration:
                return

    return (bounded(one) for one in behaviours)
