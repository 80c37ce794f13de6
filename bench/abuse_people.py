"""A normal week of people and programs, with the habits that look most like abuse among them."""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Final

from bench.abuse_world import DAY, HOUR, MONDAY, Ask, Behaviour

_ZONES: Final = (-8, -5, -3, 0, 1, 2, 5.5, 8, 9)  # hours from UTC
_DORMITORY: Final = "198.51.100.7"
_SCHOOL: Final = "198.51.100.90"
_CONFERENCE: Final = "198.51.100.120"
_PUBLIC_HOLIDAY: Final = 3  # the week's Thursday, in the American zones

Pauses = Callable[[], float]


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


def _session(
    person: Person, words: Words, start: float, prompts: int, address: str = ""
) -> Behaviour:
    """A conversation: read, think, ask again; given up once or twice after a refusal."""
    at, patience = start, 2
    for _ in range(prompts):
        admitted = yield person.ask(at, words.prompt(person.dice), address)
        patience -= not admitted
        if not patience:
            return
        at += 8 + person.dice.lognormvariate(3.9, 0.9)


def _awake(person: Person, words: Words, days: range, hours: tuple[int, int], sessions: float,
           place: Callable[[float], str] = lambda _: "") -> Behaviour:  # fmt: skip
    """Sessions on most days, within the hours that the person is up."""
    for day in days:
        if day in person.away:
            continue
        count = min(9, int(person.dice.expovariate(1 / sessions) + 0.4))
        for start in sorted(person.dice.uniform(*hours) for _ in range(count)):
            at = person.midnight(day) + start * HOUR
            prompts = 1 + int(person.dice.expovariate(1 / 3.5))
            yield from _session(person, words, at, prompts, place(at))


def office(person: Person, words: Words, days: range) -> Behaviour:
    """At work by day, from the office; at times from home."""
    home = _home(person.dice)
    yield from _awake(
        person, words, days, (8.5, 22), 1.6,
        lambda at: person.address if (at + person.zone * HOUR) % DAY < 18 * HOUR else home,
    )  # fmt: skip


def night_owl(person: Person, words: Words, days: range) -> Behaviour:
    """Much and long: from noon until deep in the night."""
    yield from _awake(person, words, days, (11, 27), 6)


def student(person: Person, words: Words, days: range) -> Behaviour:
    """In the dormitory, evenings and nights; now and then homework is copied as it is."""

    def copied(ask: Ask) -> Ask:
        if person.dice.random() < 0.06:
            return ask._replace(text=person.dice.choice(words.homework))
        return ask

    yield from _changed(_awake(person, words, days, (13, 26), 1.8), copied)


def phone(person: Person, words: Words, days: range) -> Behaviour:
    """On the way: an address of the carrier's for each session, or within one; at home another."""
    carrier, home = person.dice.choice(("100.64", "100.71", "2001:db8")), _home(person.dice)

    def there(_: float) -> str:
        if person.dice.random() < 0.3:
            return home
        if carrier.startswith("2001"):
            return f"{carrier}:{person.dice.randrange(65536):x}:{person.dice.randrange(65536):x}::1"
        return f"{carrier}.{person.dice.randrange(256)}.{person.dice.randrange(1, 255)}"

    def moved(ask: Ask) -> Ask:
        return ask._replace(address=there(0.0)) if person.dice.random() < 0.3 else ask

    yield from _changed(_awake(person, words, days, (7, 23), 2.6, there), moved)


def anonymous_network(person: Person, words: Words, days: range) -> Behaviour:
    """Over a network that leaves the internet elsewhere every ten minutes."""

    def exit_at(at: float) -> str:
        dice = Random(f"{person.account}{int(at // 600)}")
        return f"{dice.randrange(11, 200)}.{dice.randrange(256)}.{dice.randrange(256)}.5"

    yield from _changed(
        _awake(person, words, days, (9, 23), 1.5), lambda ask: ask._replace(address=exit_at(ask.at))
    )


def tunnel(person: Person, words: Words, days: range) -> Behaviour:
    """Through a VPN that is in another country for each session."""
    exits = [_home(person.dice) for _ in range(6)]
    yield from _awake(person, words, days, (8, 23), 2, lambda _: person.dice.choice(exits))


def scheduled(person: Person, words: Words, days: range, minutes: int = 30) -> Behaviour:
    """A cron job, day and night, which sends a few figures in the same words each time."""
    template = words.text(person.dice, 30)
    at = MONDAY + days[0] * DAY
    while at < MONDAY + (days[-1] + 1) * DAY:
        figures = words.text(person.dice, 4)
        yield person.ask(at + person.dice.uniform(0.3, 3), f"{template} {figures}")
        at += minutes * 60


def overscheduled(person: Person, words: Words, days: range) -> Behaviour:
    """A cron job that somebody set to every ten minutes: more than the plan has, unnoticed."""
    at = MONDAY + days[0] * DAY
    while at < MONDAY + (days[-1] + 1) * DAY:
        yield person.ask(at + person.dice.uniform(0.3, 3), words.prompt(person.dice))
        at += 600


def sleeping_loop(person: Person, words: Words, days: range) -> Behaviour:
    """A home automation: sleep half an hour, ask in the same words, day and night."""
    template, at = words.text(person.dice, 50), MONDAY + days[0] * DAY + person.dice.random() * 900
    while at < MONDAY + (days[-1] + 1) * DAY:
        yield person.ask(at, f"{template} {words.text(person.dice, 2)}")
        at += 1_800 + person.dice.uniform(0.8, 2.0)


def report(person: Person, words: Words, days: range) -> Behaviour:
    """Five requests each morning at seven, one after the other."""
    for day in days:
        at = person.midnight(day) + 7 * HOUR
        for _ in range(5):
            yield person.ask(at, words.text(person.dice, 80))
            at += person.dice.uniform(2, 9)


def batch(person: Person, words: Words, days: range) -> Behaviour:
    """A script over sixty items, which tries each four times and never thinks of stopping."""
    for day in sorted(person.dice.sample(list(days), min(2, len(days)))):
        template = words.text(person.dice, 25)
        at = person.midnight(day) + person.dice.uniform(9, 18) * HOUR
        for _ in range(60):
            text = f"{template} {words.text(person.dice, 25)}"
            for attempt in range(4):
                if (yield person.ask(at, text)):
                    break
                at += 2**attempt * 2 * person.dice.uniform(0.8, 1.2)
            at += person.dice.uniform(1, 4)


def all_at_once(person: Person, words: Words, days: range) -> Behaviour:
    """Thirty requests side by side, each tried three times by the SDK; once."""
    day = person.dice.choice(list(days))
    at = person.midnight(day) + person.dice.uniform(9, 18) * HOUR
    waiting = [(at + person.dice.random(), 0, words.text(person.dice, 40)) for _ in range(30)]
    while waiting:
        waiting.sort()
        at, attempt, text = waiting.pop(0)
        if not (yield person.ask(at, text)) and attempt < 2:
            waiting.append((at + 0.5 * 2**attempt * person.dice.uniform(1, 2), attempt + 1, text))


def application(person: Person, words: Words, days: range) -> Behaviour:
    """A small product: its customers' data in its own words, in its customers' hours."""
    template = words.text(person.dice, 45)
    for day in days:
        for hour in range(7, 22):
            for _ in range(int(person.dice.expovariate(1 / 2.2))):
                at = person.midnight(day) + (hour + person.dice.random()) * HOUR
                yield person.ask(
                    at, f"{template} {words.text(person.dice, person.dice.randint(4, 40))}"
                )


def plugin(person: Person, words: Words, days: range) -> Behaviour:
    """A popular editor's plugin: everybody's notes in the plugin's words."""
    yield from _changed(
        _awake(person, words, days, (8, 23), 1.5),
        lambda ask: ask._replace(text=f"{words.template} {words.text(person.dice, 60)}"),
    )


def class_member(person: Person, words: Words, days: range) -> Behaviour:
    """A course's ten exercises, the same for all, in one lesson; and a little else."""
    lesson = person.midnight(days[len(days) // 2]) + 10 * HOUR
    at = lesson + person.dice.uniform(0, 300)
    for exercise in words.exercises:
        for _ in range(person.dice.choice((1, 1, 1, 2))):
            yield person.ask(at, exercise, _SCHOOL)
            at += person.dice.lognormvariate(4.6, 0.7)


def visitor(person: Person, words: Words, days: range) -> Behaviour:
    """Nobody yet: one to three tries."""
    at = MONDAY + person.dice.uniform(days[0], days[-1] + 1) * DAY
    yield from _session(person, words, at, person.dice.randint(1, 3))


def conference_guest(person: Person, words: Words, days: range) -> Behaviour:
    """In the hall where Scalix is shown: everybody tries it within the hour."""
    at = person.midnight(days[len(days) // 2]) + person.dice.uniform(14, 15) * HOUR
    yield from _session(person, words, at, person.dice.choice((1, 1, 2)), _CONFERENCE)


def paying_program(person: Person, words: Words, days: range) -> Behaviour:
    """Pro: a program that asks hundreds of times a day."""
    template = words.text(person.dice, 20)
    at = MONDAY + days[0] * DAY
    while at < MONDAY + (days[-1] + 1) * DAY:
        yield person.ask(at, f"{template} {words.text(person.dice, 20)}")
        at += person.dice.expovariate(1 / 400)


_MIX: Final[tuple[tuple[Callable[[Person, Words, range], Behaviour], float, str], ...]] = (
    (office, 0.37, "free"),
    (student, 0.15, "free"),
    (phone, 0.12, "free"),
    (visitor, 0.09, "visitor"),
    (conference_guest, 0.06, "visitor"),
    (class_member, 0.03, "free"),
    (application, 0.03, "free"),
    (plugin, 0.03, "free"),
    (night_owl, 0.025, "free"),
    (paying_program, 0.02, "pro"),
    (scheduled, 0.02, "free"),
    (tunnel, 0.015, "free"),
    (report, 0.01, "free"),
    (batch, 0.01, "free"),
    (all_at_once, 0.006, "free"),
    (sleeping_loop, 0.006, "free"),
    (overscheduled, 0.004, "free"),
    (anonymous_network, 0.004, "free"),
)


def people(count: int, days: range, seed: int) -> Iterator[tuple[Person, Behaviour]]:
    """That many, in the week's mix; at least one of each kind."""
    dice = Random(seed)
    words = Words(dice)
    kinds = [entry for entry in _MIX for _ in range(max(1, round(entry[1] * count)))]
    while len(kinds) < count:
        kinds.append(_MIX[0])
    for kind, _, tier in kinds[:count] if len(kinds) > count else kinds:
        person = _person(kind.__name__, tier, dice)
        yield person, kind(person, words, days)


def _person(kind: str, tier: str, dice: Random) -> Person:
    own = Random(dice.getrandbits(64))
    address = _DORMITORY if kind == "student" else _home(own)
    zone = 1.0 if kind in ("student", "class_member", "conference_guest") else own.choice(_ZONES)
    away: tuple[int, ...] = ()
    if own.random() < 0.1:
        first = own.randrange(7)
        away = tuple(range(first, first + 4))
    elif zone < -2:
        away = (_PUBLIC_HOLIDAY,)
    return Person(kind, uuid.UUID(int=own.getrandbits(128)), tier, address, own, zone, away)


def _home(dice: Random) -> str:
    parts = (
        dice.randrange(11, 99),
        dice.randrange(256),
        dice.randrange(256),
        dice.randrange(1, 255),
    )
    return ".".join(map(str, parts))


def _changed(behaviour: Behaviour, change: Callable[[Ask], Ask]) -> Behaviour:
    """The same behaviour with each request changed."""
    ask = next(behaviour, None)
    while ask is not None:
        admitted = yield change(ask)
        try:
            ask = behaviour.send(admitted)
        except StopIteration:
            return
