"""The status board: what works now and has worked for 90 days, kept in memory by each process.

Pages show it from memory alone, so that they can say what is the matter when the database can't be
asked.  It says nothing that is not public: deployments by their names, which answers name as well;
no addresses, keys or errors.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from accounts.postgres import PostgresUnavailable, ReadPool
from billing.metering.quota import QuotaUnavailable
from gateway.catalogue.snapshot import HEALTH, HEALTH_JOINS, Catalogue
from gateway.health.incidents import Event, Incident, incidents_of
from gateway.health.models import GATEWAY
from gateway.health.reports import HEARD_WITHIN

DAYS: Final = 90
INCIDENT_DAYS: Final = 14
_MOST_EVENTS: Final = 1_000
GOOD_FROM: Final = 0.99
"""Of a day's answers: below it the day had failures, and below POOR_FROM it was bad."""
POOR_FROM: Final = 0.90

_DAYS: Final = """
SELECT deployment, day, succeeded + probes_succeeded, failed + probes_failed
  FROM gateway_deploymentday WHERE day > %s AND day <= %s
"""
_NOW: Final = f"""
SELECT deployment.name, {HEALTH},
       EXISTS (SELECT FROM gateway_opencircuit circuit WHERE circuit.deployment = deployment.name
                  AND circuit.heard_at > now() - %s)
  FROM gateway_deployment deployment {HEALTH_JOINS}
 WHERE deployment.enabled
"""  # noqa: S608  (our own text)
_EVENTS: Final = """
SELECT at, deployment, kind, process_id FROM gateway_healthevent
 WHERE at > %s ORDER BY at DESC LIMIT %s
"""

_STATES: Final = {
    "up": "Working",
    "poor": "Many answers fail; others are asked first",
    "down": "Not answering; others are asked first",
}


@dataclass(frozen=True, slots=True)
class Day:
    """One UTC day's answers, probes included."""

    day: dt.date
    good: int = 0
    bad: int = 0

    @property
    def uptime(self) -> float | None:
        """The share of good answers; None where nothing was asked."""
        return self.good / (self.good + self.bad) if self.good + self.bad else None

    @property
    def state(self) -> str:
        """`none`, `up`, `poor` or `down`."""
        if self.uptime is None:
            return "none"
        if self.uptime >= GOOD_FROM:
            return "up"
        return "poor" if self.uptime >= POOR_FROM else "down"

    @property
    def text(self) -> str:
        """The day in words."""
        named = f"{self.day.day} {self.day:%B}"
        if self.uptime is None:
            return f"{named}: nothing was asked"
        return f"{named}: {percent(self.uptime)} of {self.good + self.bad:,} answers were good"


@dataclass(frozen=True, slots=True)
class Part:
    """The gateway, or a deployment: its state now and its days, oldest first."""

    name: str
    state: str  # up, poor or down
    text: str
    days: tuple[Day, ...]

    @property
    def uptime(self) -> float | None:
        """Over all days; None where nothing was asked."""
        return Day(dt.date.min, *self._sums).uptime

    @property
    def uptime_text(self) -> str:
        """The same in words."""
        return "nothing asked yet" if self.uptime is None else percent(self.uptime)

    @property
    def answers(self) -> int:
        """Over all days."""
        return sum(self._sums)

    @property
    def days_with_failures(self) -> list[Day]:
        """The days that were not good, latest first."""
        return [day for day in reversed(self.days) if day.state in ("poor", "down")]

    @property
    def _sums(self) -> tuple[int, int]:
        return sum(day.good for day in self.days), sum(day.bad for day in self.days)


@dataclass(frozen=True, slots=True)
class Board:
    """Everything that the page shows, as of a moment."""

    at: dt.datetime
    gateway: Part
    providers: tuple[Part, ...]
    incidents: tuple[Incident, ...]


class StatusBoard:
    """This process's copy of the board; `refresh` is to be called every few seconds."""

    def __init__(
        self, pool: ReadPool, catalogue: Catalogue, ping_redis: Callable[[], Awaitable[None]]
    ) -> None:
        self._pool = pool
        self._catalogue = catalogue
        self._ping_redis = ping_redis
        self.board: Board | None = None
        self.database_away = False

    async def refresh(self) -> None:
        """Reads the tables; without the database, what was read last stays, and that is noted."""
        try:
            self.board = await self._read(dt.datetime.now(dt.UTC))
            self.database_away = False
        except PostgresUnavailable:
            self.database_away = True

    async def _read(self, now: dt.datetime) -> Board:
        today = now.date()
        first = today - dt.timedelta(days=DAYS - 1)
        days: dict[str, dict[dt.date, Day]] = defaultdict(dict)
        span = (first - dt.timedelta(days=1), today)
        for name, day, good, bad in await self._pool.fetch(_DAYS, span):
            days[name][day] = Day(day, good, bad)
        every_day = [first + dt.timedelta(days=n) for n in range(DAYS)]

        def part(name: str, title: str, state: str, text: str) -> Part:
            return Part(title, state, text, tuple(days[name].get(d, Day(d)) for d in every_day))

        now_of_each = await self._pool.fetch(_NOW, (HEARD_WITHIN,))
        usable = {one.deployment for row in self._catalogue.usable() for one in row.targets}
        states = {
            name: "down" if circuit_open or not answers else "poor" if lowered else "up"
            for name, answers, lowered, circuit_open in now_of_each
            if name in usable
        }
        since = now - dt.timedelta(days=INCIDENT_DAYS)
        events = [Event(*row) for row in await self._pool.fetch(_EVENTS, (since, _MOST_EVENTS))]
        return Board(
            now,
            part(GATEWAY, "Gateway", *await self._gateway()),
            tuple(part(one, one, states[one], _STATES[states[one]]) for one in sorted(states)),
            tuple(incidents_of(one for one in events if one.deployment in usable)),
        )

    async def _gateway(self) -> tuple[str, str]:
        try:
            await self._ping_redis()
        except QuotaUnavailable:
            return "poor", "The counter store can't be reached"
        return "up", "Working"


def percent(share: float) -> str:
    """A share in words, never rounded up to 100 %."""
    if share >= 1:
        return "100%"
    return f"{min(share * 100, 99.99):.2f}%"
