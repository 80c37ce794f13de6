"""What the detectors look at: an account's or a network address's last day of requests."""

import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from gateway.safety.fingerprints import Sketch, likeness

WINDOW_SECONDS: Final = 24 * 3600
ALIKE: Final = 0.7
"""How much like each other two prompts are that differ in a few words."""


class Seen(NamedTuple):
    """A request, or a refusal that may stand for several."""

    at: float  # Unix time
    account: uuid.UUID
    tier: str
    address: str | None
    admitted: bool
    by_own_limit: bool = False  # refused by a limit of the account, not of its address
    weight: int = 1
    sketch: Sketch | None = None


@dataclass(frozen=True, slots=True)
class Alike:
    """Prompts that are like each other and come from several accounts."""

    prompts: int = 0  # of the account, or at the address
    accounts: int = 0  # others'


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """Of one account; `requests` ascend in time."""

    now: float
    requests: Sequence[Seen]
    alike: Alike = Alike()


@dataclass(frozen=True, slots=True)
class AddressFacts:
    """Of one network address, without accounts that pay; `requests` ascend in time."""

    now: float
    requests: Sequence[Seen]
    hourly_limits: Mapping[str, int | None] = field(default_factory=dict)  # by tier


def alike_elsewhere(requests: Iterable[Seen], others: Iterable[tuple[uuid.UUID, Sketch]]) -> Alike:
    """Of the account's prompts the largest group that other accounts send as well.

    `others`: prompts with the same anchors, whoever sent them.
    """
    ours, theirs = defaultdict[int, list[Seen]](list), defaultdict[int, list[Sketch]](list)
    senders = defaultdict[int, list[uuid.UUID]](list)
    account = None
    for one in requests:
        if one.sketch:
            account = one.account
            ours[one.sketch[0]].append(one)
    for sender, sketch in others:
        if sender != account and sketch[0] in ours:
            senders[sketch[0]].append(sender)
            theirs[sketch[0]].append(sketch)
    found = [_group(ours[anchor], theirs[anchor], senders[anchor]) for anchor in theirs]
    return max(found, key=lambda one: min(one.prompts, one.accounts), default=Alike())


def _group(ours: list[Seen], theirs: list[Sketch], senders: list[uuid.UUID]) -> Alike:
    newest = ours[-1].sketch
    assert newest
    prompts = sum(likeness(newest, one.sketch) >= ALIKE for one in ours if one.sketch)
    accounts = {
        sender
        for sender, sketch in zip(senders, theirs, strict=True)
        if likeness(newest, sketch) >= ALIKE
    }
    return Alike(prompts, len(accounts))


def largest_group(requests: Iterable[Seen]) -> Alike:
    """Of the prompts at an address the largest group that is alike, and how many sent it."""
    anchors = Counter(one.sketch[0] for one in requests if one.sketch)
    if not anchors:
        return Alike()
    anchor, prompts = anchors.most_common(1)[0]
    senders = {one.account for one in requests if one.sketch and one.sketch[0] == anchor}
    return Alike(prompts, len(senders))
