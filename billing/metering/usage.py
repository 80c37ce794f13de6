"""What an account has used of its limits, at one moment: the figures that everybody shows.

Headers, API, dashboard and admin render these values and compute none of their own.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Final

from billing.plans import Limits

_MINUTE_MS = 60_000
_HOUR_MS = 3_600_000
_DAY_MS = 86_400_000
_PERIODS: Final = {
    "requests_per_hour": "this hour",
    "requests_per_day": "today",
    "tokens_per_day": "today",
    "concurrent_requests": "at once",
    "requests_per_session": "today in this session",
    "address_requests_per_minute": "this minute from your network address",
    "address_requests_per_hour": "this hour from your network address",
    "address_accounts_per_hour": "this hour from your network address",
}
_UNITS: Final = {"tokens_per_day": "tokens", "address_accounts_per_hour": "accounts"}


@dataclass(frozen=True, slots=True)
class Counters:
    """The counter store's answer: what is used, reservations included, at `at_ms` (Unix, UTC)."""

    at_ms: int
    hour_requests: int
    day_requests: int
    day_tokens: int
    in_flight: int
    session_requests: int = 0
    """The day's, of the session that was asked about."""

    @property
    def at(self) -> dt.datetime:
        """The counter store's time."""
        return dt.datetime.fromtimestamp(self.at_ms / 1000, dt.UTC)


@dataclass(frozen=True, slots=True)
class AddressUse:
    """The counter store's answer about a network address, at `at_ms` (Unix, UTC)."""

    at_ms: int
    minute_requests: int
    hour_requests: int
    hour_accounts: int
    knows_account: bool
    """Whether the account that was asked for is among the hour's."""


@dataclass(frozen=True, slots=True)
class LimitState:
    """One limit: its name, what is used, what it allows (None: no limit), when it starts anew."""

    name: str  # a field of Limits
    used: int
    max: int | None
    resets_at: dt.datetime | None  # None: as soon as a running request ends
    resets_in_seconds: int | None

    @property
    def remaining(self) -> int | None:
        """What is left, never below 0; None without a limit."""
        return None if self.max is None else max(0, self.max - self.used)

    @property
    def share(self) -> float:
        """Used as a part of the limit, 0 to 1; 0 without a limit."""
        return 0.0 if not self.max else min(1.0, self.used / self.max)

    @property
    def unit(self) -> str:
        """`requests`, `tokens` or `accounts`."""
        return _UNITS.get(self.name, "requests")

    @property
    def period(self) -> str:
        """`this hour`, `today`, `at once` and so on."""
        return _PERIODS[self.name]

    @property
    def scope(self) -> str:
        """Whose limit it is: `account`, `session` or `address`."""
        if self.name == "requests_per_session":
            return "session"
        return "address" if self.name.startswith("address_") else "account"

    @property
    def title(self) -> str:
        """`requests today`: the limit inside a sentence."""
        return f"{self.unit} {self.period}"


@dataclass(frozen=True, slots=True)
class Usage:
    """An account's limits and counters together, and its address's where that is limited."""

    limits: Limits
    counters: Counters
    address: AddressUse | None = None

    @property
    def requests_per_hour(self) -> LimitState:
        """This UTC clock hour's requests."""
        used = self.counters.hour_requests
        return self._window("requests_per_hour", used, self.limits.requests_per_hour, _HOUR_MS)

    @property
    def requests_per_day(self) -> LimitState:
        """This UTC day's requests."""
        used = self.counters.day_requests
        return self._window("requests_per_day", used, self.limits.requests_per_day, _DAY_MS)

    @property
    def tokens_per_day(self) -> LimitState:
        """This UTC day's tokens, reserved ones included."""
        used = self.counters.day_tokens
        return self._window("tokens_per_day", used, self.limits.tokens_per_day, _DAY_MS)

    @property
    def concurrent_requests(self) -> LimitState:
        """Requests running now."""
        return LimitState(
            "concurrent_requests",
            self.counters.in_flight,
            self.limits.concurrent_requests,
            resets_at=None,
            resets_in_seconds=None,
        )

    @property
    def requests_per_session(self) -> LimitState:
        """This UTC day's requests of the session that was asked about."""
        used = self.counters.session_requests
        return self._window("requests_per_session", used, self.limits.requests_per_session, _DAY_MS)

    @property
    def address_states(self) -> tuple[LimitState, ...]:
        """The limits of the network address, whoever used them up; none where it has none."""
        use, limits = self.address, self.limits
        if use is None:
            return ()
        accounts, per_minute = limits.address_accounts_per_hour, limits.address_requests_per_minute
        per_hour = limits.address_requests_per_hour
        return (
            self._window(
                "address_requests_per_minute", use.minute_requests, per_minute, _MINUTE_MS
            ),
            self._window("address_requests_per_hour", use.hour_requests, per_hour, _HOUR_MS),
            self._window("address_accounts_per_hour", use.hour_accounts, accounts, _HOUR_MS),
        )

    @property
    def states(self) -> tuple[LimitState, ...]:
        """Every limit of the account, the windows first."""
        return (*self.windows, self.concurrent_requests)

    @property
    def other_states(self) -> tuple[LimitState, ...]:
        """What else may forbid a request: the session's limit, if there is one, the address's."""
        session = self.requests_per_session
        ours = (session,) if self.counters.session_requests and session.max is not None else ()
        return (*ours, *(state for state in self.address_states if state.max is not None))

    @property
    def windows(self) -> tuple[LimitState, ...]:
        """The limits that a clock resets."""
        return (self.tokens_per_day, self.requests_per_day, self.requests_per_hour)

    @property
    def binding(self) -> LimitState:
        """The window that is fullest, and so will stop the account first."""
        return max(self.windows, key=lambda state: state.share)

    @property
    def binding_requests(self) -> LimitState:
        """Of hour and day, the one that leaves fewer requests."""
        hour, day = self.requests_per_hour, self.requests_per_day
        if hour.remaining is None or day.remaining is None:
            return day if hour.remaining is None else hour
        return hour if hour.remaining < day.remaining else day

    def state(self, name: str) -> LimitState:
        """The limit of that name; KeyError if there is none."""
        every = (*self.windows, self.concurrent_requests, self.requests_per_session)
        return {state.name: state for state in (*every, *self.address_states)}[name]

    def _window(self, name: str, used: int, limit: int | None, length_ms: int) -> LimitState:
        end_ms = (self.counters.at_ms // length_ms + 1) * length_ms
        return LimitState(
            name,
            used,
            limit,
            resets_at=dt.datetime.fromtimestamp(end_ms / 1000, dt.UTC),
            resets_in_seconds=-(-(end_ms - self.counters.at_ms) // 1000),
        )
