"""A gateway that is simulated, with the real detectors: who asks, what is admitted, what is judged.

People and programs are generators: each yields what it asks next and gets to know whether that was
admitted.  The world's clock jumps from one request to the next; between them the detection takes
its looks, as often as the worker does.
"""

import datetime as dt
import heapq
import itertools
import uuid
from collections import Counter, defaultdict, deque
from collections.abc import Generator, Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from accounts.addresses import network_of
from gateway.safety.cases import Record
from gateway.safety.detection import TURNS
from gateway.safety.detectors import Verdict, judge_account, judge_address
from gateway.safety.facts import WINDOW_SECONDS, AccountFacts, AddressFacts, Seen, alike_elsewhere
from gateway.safety.fingerprints import Sketch, sketch
from gateway.safety.levels import Judge, Standing
from gateway.safety.models import AbuseThresholds, Level

LOOK_SECONDS: Final = 5.0
MONDAY: Final = dt.datetime(2026, 11, 23, tzinfo=dt.UTC).timestamp()
DAY: Final = 86_400.0
HOUR: Final = 3_600.0

_LIMITS: Final = {"visitor": (5, 20), "free": (10, 50), "pro": (None, None)}  # an hour, a day
_ADDRESS_LIMITS: Final = (30, 100, 50)  # requests a minute and an hour, accounts an hour
_HOURLY: Final = {tier: hour for tier, (hour, _) in _LIMITS.items()}
_FEWEST_ACCOUNTS: Final = 5
_MOST_AT_ADDRESS: Final = 300
_REFUSALS_READ: Final = 600.0  # seconds, at an address
_FEWEST_REQUESTS: Final = 6


class Ask(NamedTuple):
    """One request, before anybody has decided on it."""

    at: float
    account: uuid.UUID
    tier: str
    address: str
    text: str


Behaviour = Generator[Ask, bool, None]


class Gate:
    """Admission's counters, in a few dictionaries."""

    def __init__(self) -> None:
        self._accounts = Counter[tuple[object, ...]]()
        self._addresses = Counter[tuple[object, ...]]()
        self._seen = defaultdict[tuple[str, int], set[uuid.UUID]](set)

    def refusal(self, ask: Ask, address: str) -> str:
        """The limit that refuses it; empty where it is admitted, and counted."""
        hour, day, minute = int(ask.at // HOUR), int(ask.at // DAY), int(ask.at // 60)
        keys = ((ask.account, "hour", hour), (ask.account, "day", day))
        for key, limit in zip(keys, _LIMITS[ask.tier], strict=True):
            if limit is not None and self._accounts[key] >= limit:
                return f"requests_per_{key[1]}"
        if ask.tier != "pro":
            per_minute, per_hour, accounts = _ADDRESS_LIMITS
            there = self._seen[address, hour]
            if ask.account not in there and len(there) >= accounts:
                return "address_accounts_per_hour"
            if self._addresses[address, "minute", minute] >= per_minute:
                return "address_requests_per_minute"
            if self._addresses[address, "hour", hour] >= per_hour:
                return "address_requests_per_hour"
            there.add(ask.account)
            self._addresses[address, "minute", minute] += 1
            self._addresses[address, "hour", hour] += 1
        self._accounts.update(keys)
        return ""


@dataclass(slots=True)
class Raised:
    """That a subject came to a level for the first time."""

    at: float
    level: str
    score: int
    reasons: list[str]
    after: int  # requests that the watched group had sent by then


@dataclass
class World:
    """Everybody's requests, and the cases that they lead to."""

    thresholds: AbuseThresholds = field(default_factory=AbuseThresholds)

    def __post_init__(self) -> None:
        self._gate = Gate()
        self._of_account = defaultdict[uuid.UUID, deque[Seen]](deque)
        self._at_address = defaultdict[str, deque[Seen]](deque)
        self._anchors = defaultdict[int, deque[tuple[float, uuid.UUID, Sketch]]](deque)
        self._judged = defaultdict[str, float](float)
        self._active: set[uuid.UUID] = set()
        self._active_addresses: set[str] = set()
        self.records = defaultdict[object, Record](Record)
        self.standings: dict[object, Standing] = {}
        self.highest: dict[object, Raised] = {}
        self.requests = 0
        self.admitted = 0
        self.watched_requests = 0
        self.texts: dict[str, Sketch | None] = {}
        self.accounts_at = defaultdict[str, set[uuid.UUID]](set)

    def play(
        self,
        behaviours: Iterable[Behaviour],
        watched: frozenset[object] = frozenset(),
        stop_when_found: bool = False,
    ) -> None:
        """Until nobody has anything to ask any more; or, of a watched group, one is found."""
        number = itertools.count()
        waiting = [(ask.at, next(number), one, ask)
                   for one in behaviours if (ask := next(one, None))]  # fmt: skip
        heapq.heapify(waiting)
        next_look = waiting[0][0] + LOOK_SECONDS if waiting else 0.0
        while waiting:
            at, _, behaviour, ask = heapq.heappop(waiting)
            if at >= next_look:
                self._look(next_look)
                next_look = at - at % LOOK_SECONDS + LOOK_SECONDS
                if stop_when_found and self.found(watched):
                    return
            admitted = self._ask(ask)
            self.watched_requests += ask.account in watched
            try:
                following = behaviour.send(admitted)
            except StopIteration:
                continue
            following = following._replace(at=max(following.at, at))
            heapq.heappush(waiting, (following.at, next(number), behaviour, following))
        self._look(next_look)

    def found(self, group: Iterable[object], level: str = Level.THROTTLE) -> list[Raised]:
        """Of a group's subjects those that came to the level or above."""
        levels = [level, Level.BLOCK]
        return [
            raised
            for subject in group
            if (raised := self.highest.get(subject)) and raised.level in levels
        ]

    def _ask(self, ask: Ask) -> bool:
        address = network_of(ask.address)
        limit = self._gate.refusal(ask, address)
        if ask.text not in self.texts:
            self.texts[ask.text] = sketch(ask.text)
        found = self.texts[ask.text] if not limit else None
        seen = Seen(
            ask.at, ask.account, ask.tier, address, not limit,
            bool(limit) and not limit.startswith("address"), 1, found,
        )  # fmt: skip
        self.requests += 1
        self.admitted += not limit
        if limit and ask.tier == "visitor" and not self._of_account[ask.account]:
            return False  # who was never admitted is nobody's visitor yet: it is on no record
        self._of_account[ask.account].append(seen)
        self._active.add(ask.account)
        if ask.tier != "pro":
            self._at_address[address].append(seen)
            self._active_addresses.add(address)
            self.accounts_at[address].add(ask.account)
        if found:
            self._anchors[found[0]].append((ask.at, ask.account, found))
        return not limit

    def _look(self, now: float) -> None:
        moment = dt.datetime.fromtimestamp(now, dt.UTC)
        judge = Judge(self.thresholds, moment)
        for account in sorted(self._active):
            requests = self._day(self._of_account[account], now, account)
            if len(requests) >= _FEWEST_REQUESTS:
                facts = AccountFacts(now, requests, self._alike(requests, now))
                record = self.records[account]
                self._act(judge, account, requests[-1].tier, judge_account(facts, record.excused))
        due = {
            one for one in self._active_addresses if now - self._judged[one] >= LOOK_SECONDS * TURNS
        }
        for address in sorted(due):
            self._judged[address] = now
            day = self._day(self._at_address[address], now, address)
            requests = [one for one in day if one.admitted][-_MOST_AT_ADDRESS:]
            requests += [one for one in day if not one.admitted and one.at >= now - _REFUSALS_READ]
            requests.sort(key=lambda one: one.at)
            if len({one.account for one in requests}) >= _FEWEST_ACCOUNTS:
                self._act(judge, address, "", judge_address(AddressFacts(now, requests, _HOURLY)))
        self._active.clear()
        self._active_addresses -= due
        for subject, standing in list(self.standings.items()):
            if standing.until is not None and standing.until <= moment:
                self._act(judge, subject, "", Verdict())

    def _day(self, requests: deque[Seen], now: float, subject: object) -> list[Seen]:
        while requests and requests[0].at < now - WINDOW_SECONDS:
            requests.popleft()
        judged_to = self.records[subject].judged_to
        if judged_to is None or judged_to.timestamp() < now - WINDOW_SECONDS:
            return list(requests)
        return [one for one in requests if one.at > judged_to.timestamp()]

    def _alike(self, requests: list[Seen], now: float):  # noqa: ANN202
        anchors = Counter(one.sketch[0] for one in requests if one.sketch)
        others = []
        for anchor, count in anchors.items():
            if count > 2:
                there = self._anchors[anchor]
                while there and there[0][0] < now - WINDOW_SECONDS:
                    there.popleft()
                others += [(account, found) for _, account, found in list(there)[-200:]]
        return alike_elsewhere(requests, others)

    def _act(self, judge: Judge, subject: object, tier: str, verdict: Verdict) -> None:
        record = self.records[subject]
        standing = judge.decide(
            self.standings.get(subject), verdict, is_pro=tier == "pro", repeats=record.repeats
        )
        if standing is None:
            return
        if standing.judged_to is not None:
            record.judged_to = standing.judged_to
        if standing.level == Level.NONE:
            record.repeats += self.standings.pop(subject).acts
            return
        self.standings[subject] = standing
        highest = self.highest.get(subject)
        ranks = list(Level)
        if highest is None or ranks.index(standing.level) > ranks.index(highest.level):
            self.highest[subject] = Raised(
                judge.now.timestamp(),
                standing.level,
                standing.score,
                [f"{found.text} ({found.points})" for found in verdict.findings],
                self.watched_requests,
            )
