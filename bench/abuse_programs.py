"""How programs use it in a normal week: by the clock, in batches, with retries, day and night."""

from bench.abuse_cast import Person, Words
from bench.abuse_world import DAY, HOUR, MONDAY, Behaviour


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


def paying_program(person: Person, words: Words, days: range) -> Behaviour:
    """Pro: a program that asks hundreds of times a day."""
    template = words.text(person.dice, 20)
    at = MONDAY + days[0] * DAY
    while at < MONDAY + (days[-1] + 1) * DAY:
        yield person.ask(at, f"{template} {words.text(person.dice, 20)}")
        at += person.dice.expovariate(1 / 400)
