"""Usage in words and bars: what the dashboard and the try-it box say of each limit."""

import datetime as dt
from dataclasses import dataclass
from typing import Final

from billing import prompts
from billing.metering.usage import Counters, LimitState, Usage
from billing.plans import Limits

NEAR_PERCENT: Final = 80  # from here on a limit is shown as tight


@dataclass(frozen=True, slots=True)
class Gauge:
    """One limit as a page shows it: in words, and as a `<meter>` with three states."""

    state: LimitState

    @property
    def title(self) -> str:
        """`Tokens today`."""
        running = self.state.name == "concurrent_requests"
        return (self.state.period if running else self.state.title).capitalize()

    @property
    def percent(self) -> int:
        """Used, in whole per cent; 100 only when nothing is left."""
        return int(self.state.share * 100)

    @property
    def tone(self) -> str:
        """`bad` when used up, `warn` from 80 % on, else nothing.  Requests at once have no tone."""
        if self.state.name == "concurrent_requests" or self.state.max is None:
            return ""
        if self.state.remaining == 0:
            return "bad"
        return "warn" if self.state.used > self.low else ""

    @property
    def low(self) -> int:
        """The most that the meter still shows as fine."""
        maximum = self.state.max or 0
        if self.state.name == "concurrent_requests":
            return maximum
        return max(0, -(-maximum * NEAR_PERCENT // 100) - 1)

    @property
    def high(self) -> int:
        """The most that the meter shows as merely tight."""
        return max(self.low, (self.state.max or 0) - int(self.state.name != "concurrent_requests"))


@dataclass(frozen=True, slots=True)
class LimitWarning:
    """The dashboard's banner: a limit that is near its end or used up."""

    gauge: Gauge
    requests_more: int | None  # at the account's average, where tokens are what is tight

    @property
    def used_up(self) -> bool:
        """Whether requests are refused until the reset."""
        return self.gauge.tone == "bad"

    @property
    def key(self) -> str:
        """Names the limit and its window: what a reader dismisses."""
        return prompts.window_of(self.gauge.state)

    @property
    def trigger(self) -> str:
        """What the banner's link tells the pricing page."""
        reached = prompts.Trigger.LIMIT_REACHED
        return (reached if self.used_up else prompts.Trigger.NEAR_LIMIT).value

    @property
    def title(self) -> str:
        """What is used, in a sentence."""
        state = self.gauge.state
        of_period = f"{state.period}’s"
        if self.used_up:
            return f"You have used all {state.max:,} of {of_period} {state.unit}."
        return f"You have used {self.gauge.percent} % of {of_period} {state.unit}."


@dataclass(frozen=True, slots=True)
class Tries:
    """How often a visitor or user may press the landing page's button before a window resets."""

    left: int
    maximum: int
    period: str  # "this hour" or "today"
    state: LimitState


def gauges(usage: Usage) -> tuple[Gauge, tuple[Gauge, ...]]:
    """The limit that binds, and the others in a fixed order.

    Those of the session and of the network address only where they are near: they bind few people.
    """
    lead = usage.binding
    near = [state for state in usage.other_states if state.share * 100 >= NEAR_PERCENT]
    others = (*usage.states, *near)
    return Gauge(lead), tuple(Gauge(state) for state in others if state.name != lead.name)


def warning(usage: Usage, average_tokens: int | None) -> LimitWarning | None:
    """The banner of the fullest limit that is near.  `average_tokens`: of a charged request."""
    near = prompts.near_limits(usage)
    if not near:
        return None
    gauge = Gauge(near[0])
    more = None
    if gauge.state.unit == "tokens" and average_tokens and gauge.state.remaining:
        more = gauge.state.remaining // average_tokens
    return LimitWarning(gauge, more)


def tries(usage: Usage) -> Tries | None:
    """What is left of hour or day, whichever ends first; None on a plan without such limits."""
    state = usage.binding_requests
    tokens = usage.tokens_per_day
    if tokens.remaining == 0:
        state = tokens
    if state.max is None or state.remaining is None:
        return None
    return Tries(state.remaining, state.max, state.period, state)


def nothing_used(limits: Limits) -> Usage:
    """The usage of somebody whom no counter knows yet."""
    now_ms = int(dt.datetime.now(dt.UTC).timestamp() * 1000)
    return Usage(limits, Counters(now_ms, 0, 0, 0, 0))
