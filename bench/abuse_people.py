"""How people use it in a normal week, with the habits that look most like abuse among them."""

from collections.abc import Callable
from random import Random
from typing import Final

from bench.abuse_cast import Person, Words, an_address, changed
from bench.abuse_world import DAY, HOUR, MONDAY, Ask, Behaviour

DORMITORY: Final = "198.51.100.7"
_SCHOOL: Final = "198.51.100.90"
_WORKSHOP: Final = "198.51.100.150"
_COMPANY: Final = "198.51.100.170"
_CONFERENCE: Final = "198.51.100.120"


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
    home = an_address(person.dice)
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

    yield from changed(_awake(person, words, days, (13, 26), 1.8), copied)


def phone(person: Person, words: Words, days: range) -> Behaviour:
    """On the way: an address of the carrier's for each session, or within one; at home another."""
    carrier, home = person.dice.choice(("100.64", "100.71", "2001:db8")), an_address(person.dice)

    def there(_: float) -> str:
        if person.dice.random() < 0.3:
            return home
        if carrier.startswith("2001"):
            return f"{carrier}:{person.dice.randrange(65536):x}:{person.dice.randrange(65536):x}::1"
        return f"{carrier}.{person.dice.randrange(256)}.{person.dice.randrange(1, 255)}"

    def moved(ask: Ask) -> Ask:
        return ask._replace(address=there(0.0)) if person.dice.random() < 0.3 else ask

    yield from changed(_awake(person, words, days, (7, 23), 2.6, there), moved)


def anonymous_network(person: Person, words: Words, days: range) -> Behaviour:
    """Over a network that leaves the internet elsewhere every ten minutes."""

    def exit_at(at: float) -> str:
        dice = Random(f"{person.account}{int(at // 600)}")
        return f"{dice.randrange(11, 200)}.{dice.randrange(256)}.{dice.randrange(256)}.5"

    yield from changed(
        _awake(person, words, days, (9, 23), 1.5), lambda ask: ask._replace(address=exit_at(ask.at))
    )


def tunnel(person: Person, words: Words, days: range) -> Behaviour:
    """Through a VPN that is in another country for each session."""
    exits = [an_address(person.dice) for _ in range(6)]
    yield from _awake(person, words, days, (8, 23), 2, lambda _: person.dice.choice(exits))


def plugin(person: Person, words: Words, days: range) -> Behaviour:
    """A popular editor's plugin: everybody's notes in the plugin's words."""
    yield from changed(
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


def workshop_guest(person: Person, words: Words, days: range) -> Behaviour:
    """One of ten at a workshop: ten tasks within half an hour, which uses the hour up."""
    at = person.midnight(days[len(days) // 2]) + 11 * HOUR + person.dice.uniform(0, 240)
    for _ in range(10):
        yield person.ask(at, words.prompt(person.dice), _WORKSHOP)
        at += person.dice.lognormvariate(4.6, 0.7)


def colleague(person: Person, words: Words, days: range) -> Behaviour:
    """One of fifteen who use it much, all behind one address."""
    yield from _awake(person, words, days, (8, 19), 4, lambda _: _COMPANY)


def visitor(person: Person, words: Words, days: range) -> Behaviour:
    """Nobody yet: one to three tries."""
    at = MONDAY + person.dice.uniform(days[0], days[-1] + 1) * DAY
    yield from _session(person, words, at, person.dice.randint(1, 3))


def conference_guest(person: Person, words: Words, days: range) -> Behaviour:
    """In the hall where Scalix is shown: everybody tries it within the hour."""
    at = person.midnight(days[len(days) // 2]) + person.dice.uniform(14, 15) * HOUR
    yield from _session(person, words, at, person.dice.choice((1, 1, 2)), _CONFERENCE)
