"""`python -m bench.abuse`: how many normal users are taken for abusers, and how soon abusers are.

Plays a normal week of 1,000 users, and each attack, on simulated clocks with the real detectors.
"""

import argparse
import os
import time
from collections import Counter
from collections.abc import Iterable
from random import Random
from typing import Final, NamedTuple

import django

MOST_REQUESTS: Final = 600
SEEDS: Final = (1, 2, 3, 4, 5)


class Week(NamedTuple):
    """How a normal week went."""

    users: int
    requests: int
    admitted: int
    slowed: list[tuple[str, str]]  # kind of user, and why
    watched: Counter[str]


class Found(NamedTuple):
    """How soon an attack was found; after 0 requests: not at all."""

    attack: str
    after: int
    level: str
    why: str


def normal_week(users: int, days: int, seed: int) -> Week:
    """Of the users those who came to an effect, be it by an address that they share."""
    from bench.abuse_week import everybody
    from bench.abuse_world import World

    week = list(everybody(users, range(days), seed))
    world = World()
    world.play(behaviour for _, behaviour in week)
    slowed, watched = [], Counter[str]()
    for person, _ in week:
        subjects = [person.account] + [
            address for address, there in world.accounts_at.items() if person.account in there
        ]
        if found := world.found(subjects):
            slowed.append((person.kind, "; ".join(found[0].reasons)))
        elif any(subject in world.highest for subject in subjects):
            watched[person.kind] += 1
    return Week(len(week), world.requests, world.admitted, slowed, watched)


def attack(kind, seed: int, bystanders: int = 10) -> Found:  # noqa: ANN001
    """One attack among a few normal users."""
    from bench.abuse_attacks import until_request
    from bench.abuse_cast import Words
    from bench.abuse_week import everybody
    from bench.abuse_world import World

    dice = Random(f"{kind.__name__} {seed}")
    planned = kind(dice, Words(dice))
    world = World()
    group = planned.accounts | planned.addresses
    others = [behaviour for _, behaviour in everybody(bystanders, range(3), seed)]
    world.play(
        [*others, *until_request(planned.behaviours, MOST_REQUESTS)], group, stop_when_found=True
    )
    found = world.found(group)
    if not found:
        levels = {raised.level for one in group if (raised := world.highest.get(one))}
        return Found(kind.__name__, 0, ", ".join(sorted(levels)) or "none", "")
    first = min(found, key=lambda one: one.at)
    return Found(kind.__name__, first.after, first.level, "; ".join(first.reasons))


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(prog="python -m bench.abuse", description=__doc__)
    parser.add_argument("--users", type=int, default=1_000)
    parser.add_argument("--days", type=int, default=7)
    parser.add_argument("--attacks", type=int, default=60, help="how often each is played")
    parser.add_argument("--seeds", type=int, nargs="*", default=SEEDS)
    options = parser.parse_args()
    if options.seeds:
        _print_weeks(options)
    _print_attacks(range(100, 100 + options.attacks))


def _print_weeks(options: argparse.Namespace) -> None:
    print("| seed | users | requests | admitted | slowed or blocked | watched | seconds |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    notes = list[str]()
    for seed in options.seeds:
        begun = time.monotonic()
        week = normal_week(options.users, options.days, seed)
        print(
            f"| {seed} | {week.users:,} | {week.requests:,} | {week.admitted:,} | "
            f"{len(week.slowed)} ({len(week.slowed) / week.users:.2%}) | "
            f"{week.watched.total()} ({week.watched.total() / week.users:.2%}) | "
            f"{time.monotonic() - begun:.0f} |",
            flush=True,
        )
        kinds = ", ".join(f"{kind} {count}" for kind, count in week.watched.most_common())
        notes += [f"seed {seed}, watched: {kinds or 'nobody'}"]
        notes += [f"seed {seed}, slowed: {kind}: {why}" for kind, why in week.slowed[:5]]
    print("\n".join(["", *notes, ""]), flush=True)


def _print_attacks(seeds: Iterable[int]) -> None:
    from bench.abuse_attacks import ATTACKS, BEYOND

    print("| attack | played | found | after requests: median | worst | for example |")
    print("| --- | --- | --- | --- | --- | --- |")
    for kind in (*ATTACKS, *BEYOND):
        played = [attack(kind, seed) for seed in seeds]
        after = sorted(one.after for one in played if one.after)
        middle, worst = (after[len(after) // 2], after[-1]) if after else ("–", "–")
        levels = ", ".join(sorted({one.level for one in played if not one.after}))
        print(
            f"| {kind.__name__.replace('_', ' ')} | {len(played)} | {len(after)} | {middle} | "
            f"{worst} | {played[0].why or levels} |",
            flush=True,
        )


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "scalix.settings")
    django.setup()
    main()
