"""What looks like abuse: each detector goes from facts to points, with the reason in figures.

Pure functions.  No detector alone but the three of what no person does (a burst, a new network for
each request, the same prompts from many accounts) comes near the points at which anything happens;
the others say little one by one and much together.  Measured by `python -m bench.abuse`.
"""

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, TypeVar

from billing.tiers import Tier
from gateway.safety.addresses import carrier_of
from gateway.safety.facts import AccountFacts, AddressFacts, Seen, largest_group
from gateway.safety.fingerprints import likeness
from gateway.safety.rhythm import densest_minute, hours_active, most_at_once, regularity

_NEAR_IDENTICAL: Final = 0.8
_FEWEST_SKETCHES, _MOST_SKETCHES = 15, 60


@dataclass(frozen=True, slots=True)
class Finding:
    """What one detector saw."""

    detector: str
    points: int
    text: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What all of them saw; `score` is the sum of their points."""

    findings: tuple[Finding, ...] = ()

    @property
    def score(self) -> int:
        """Points."""
        return sum(finding.points for finding in self.findings)


Seen_ = Sequence[Seen]
Facts = TypeVar("Facts")
Detector = Callable[[Facts], Finding | None]


def ramp(value: float, low: float, high: float) -> float:
    """0 up to `low`, 1 from `high` on, and straight in between."""
    return min(1.0, max(0.0, (value - low) / (high - low)))


# Of rhythm, for accounts and for addresses -----------------------------------------------------


def regular(requests: Seen_) -> Finding | None:
    """The same pause again and again; a scheduler that starts by the clock says less."""
    found = regularity(requests)
    if found is None:
        return None
    points = 30 * ramp(found.share, 0.7, 0.9) * (0.3 if found.by_the_clock else 1.0)
    return Finding(
        "regular",
        round(points),
        f"{found.share:.0%} of the pauses between requests are {_span(found.seconds)} long",
    )


def steady(requests: Seen_) -> Finding | None:
    """Through the night as through the day."""
    hours = hours_active(requests)
    return Finding(
        "steady", round(25 * ramp(hours, 14, 18)), f"requests in {hours} of the last 24 hours"
    )


def _burst(requests: Seen_, low: int, high: int) -> Finding | None:
    most, at = densest_minute(requests)
    return Finding(
        "burst",
        round(75 * ramp(most, low, high)),
        f"{most:,} requests within the minute from {_clock(at)}",
    )


# Of accounts -----------------------------------------------------------------------------------


def account_regular(facts: AccountFacts) -> Finding | None:
    """See `regular`."""
    return regular(facts.requests)


def account_steady(facts: AccountFacts) -> Finding | None:
    """See `steady`."""
    return steady(facts.requests)


def account_burst(facts: AccountFacts) -> Finding | None:
    """Far more within a minute than a person or a careless program sends."""
    return _burst(facts.requests, 30, 110)


def pressing_on(facts: AccountFacts) -> Finding | None:
    """Goes on for hours after a limit has refused."""
    refused = [one for one in facts.requests if one.by_own_limit]
    count = sum(one.weight for one in refused)
    if hours_active(refused) < 3:
        return None
    return Finding(
        "pressing_on",
        round(25 * ramp(count, 20, 70)),
        f"{count:,} requests after a limit was reached, in {hours_active(refused)} hours",
    )


def repeating(facts: AccountFacts) -> Finding | None:
    """The account's own prompts, one nearly the same as the one before."""
    sketches = [one.sketch for one in facts.requests if one.sketch][-_MOST_SKETCHES:]
    if len(sketches) < _FEWEST_SKETCHES:
        return None
    same = sum(likeness(*pair) >= _NEAR_IDENTICAL for pair in pairwise(sketches))
    share = same / (len(sketches) - 1)
    return Finding(
        "repeating",
        round(10 * ramp(share, 0.6, 0.95)),
        f"{share:.0%} of {len(sketches)} prompts are nearly the same as the one before",
    )


def in_concert(facts: AccountFacts) -> Finding | None:
    """Prompts, each much like the others, that other accounts send as well.

    A class that does the same ten exercises sends each prompt once or twice; so does everybody who
    copies an example.
    """
    alike = facts.alike
    points = 75 * ramp(alike.prompts, 2, 5) * ramp(alike.accounts, 3, 8)
    return Finding(
        "in_concert",
        round(points),
        f"{alike.prompts} prompts nearly the same as those of {alike.accounts} other accounts",
    )


def changing_networks(facts: AccountFacts) -> Finding | None:
    """Hardly a request from where the one before came from, in an hour or in a day."""
    placed = [one for one in facts.requests if one.address]
    if len(placed) < 8:
        return None
    day = _carriers(placed)
    hour = max(_carriers(part) for part in _by_hour(placed))
    sparse = ramp(day / len(placed), 0.4, 0.7)
    points = 75 * sparse * max(ramp(day, 12, 24), ramp(hour, 7, 12))
    return Finding(
        "changing_networks",
        round(points),
        f"{len(placed):,} requests from {day} networks, {hour} of them within an hour",
    )


# Of network addresses --------------------------------------------------------------------------


def using_up_accounts(facts: AddressFacts) -> Finding | None:
    """Within an hour many accounts, one after the other, and most of them used to their limit.

    In a large house few come to their limit; at a workshop most may, and all at the same time.
    """
    hour = [one for one in facts.requests if one.at > facts.now - 3_600]
    if not hour:
        return None
    tiers, counts = dict[object, str](), Counter[object]()
    for one in hour:
        tiers[one.account] = one.tier
        counts[one.account] += one.weight
    used_up = sum(
        count >= 0.8 * limit
        for account, count in counts.items()
        if (limit := facts.hourly_limits.get(tiers[account]))
    )
    share, turns = used_up / len(counts), len(counts) / max(most_at_once(hour), 1)
    points = 80 * ramp(used_up, 5, 9) * ramp(share, 0.5, 0.75) * ramp(turns, 1.5, 2.5)
    return Finding(
        "using_up_accounts",
        round(points),
        f"{len(counts)} accounts within an hour, one after the other, of which {used_up} used "
        "their limit up",
    )


def dropping_visitors(facts: AddressFacts) -> Finding | None:
    """Ever new visitors who ask once or twice; with a machine's rhythm, they are one."""
    of_visitors = [one for one in facts.requests if one.tier == Tier.VISITOR]
    counts = Counter(one.account for one in of_visitors)
    once = sum(count <= 2 for count in counts.values())
    if once < 20:
        return None
    machine = sum(
        found.points for found in (regular(of_visitors), steady(of_visitors)) if found is not None
    )
    return Finding(
        "dropping_visitors",
        round(42 * ramp(once, 20, 60)) + machine,
        f"{once} visitors with one or two requests each"
        + (", at a machine’s regular pace" if machine >= 20 else ""),
    )


def same_prompts(facts: AddressFacts) -> Finding | None:
    """Most of what comes from the address is one prompt with small changes, from many accounts.

    From each of them again and again: a class that begins a lesson sends its first exercise, all at
    once, and each of its members hardly twice.
    """
    fingerprinted = sum(one.sketch is not None for one in facts.requests)
    if fingerprinted < _FEWEST_SKETCHES:
        return None
    group = largest_group(facts.requests)
    share, each = group.prompts / fingerprinted, group.prompts / max(group.accounts, 1)
    return Finding(
        "same_prompts",
        round(75 * ramp(share, 0.4, 0.7) * ramp(group.accounts, 5, 12) * ramp(each, 1.5, 3)),
        f"{share:.0%} of the prompts are nearly the same, from {group.accounts} accounts",
    )


def address_burst(facts: AddressFacts) -> Finding | None:
    """More within a minute than a full lecture hall sends."""
    return _burst(facts.requests, 120, 300)


OF_ACCOUNTS: Final[tuple[Detector[AccountFacts], ...]] = (
    account_burst,
    in_concert,
    changing_networks,
    account_regular,
    account_steady,
    pressing_on,
    repeating,
)
OF_ADDRESSES: Final[tuple[Detector[AddressFacts], ...]] = (
    address_burst,
    using_up_accounts,
    same_prompts,
    dropping_visitors,
)


def judge_account(facts: AccountFacts, excused: Mapping[str, int] | None = None) -> Verdict:
    """All detectors of accounts; `excused`: points by detector that staff found no harm in."""
    return _verdict((detect(facts) for detect in OF_ACCOUNTS), excused or {})


def judge_address(facts: AddressFacts, excused: Mapping[str, int] | None = None) -> Verdict:
    """All detectors of network addresses."""
    return _verdict((detect(facts) for detect in OF_ADDRESSES), excused or {})


def _verdict(findings: Iterable[Finding | None], excused: Mapping[str, int]) -> Verdict:
    counted = [
        Finding(found.detector, found.points - excused.get(found.detector, 0), found.text)
        for found in findings
        if found is not None
    ]
    counted = [found for found in counted if found.points > 0]
    return Verdict(tuple(sorted(counted, key=lambda found: -found.points)))


def _carriers(requests: Seen_) -> int:
    return len({carrier_of(one.address) for one in requests if one.address})


def _by_hour(requests: Seen_) -> list[list[Seen]]:
    hours = defaultdict[float, list[Seen]](list)
    for one in requests:
        hours[one.at // 3600].append(one)
    return list(hours.values())


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.1f} min"


def _clock(at: float) -> str:
    return f"{dt.datetime.fromtimestamp(at, dt.UTC):%H:%M:%S} UTC"
