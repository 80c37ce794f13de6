"""May a request be made?  The rule that both counter stores decide by, in plain Python.

`quota.lua` and `address.lua` are the same rule on counters in Redis.  This one decides where there
is no Redis, and says what would be decided.  Tests hold the two against each other.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from billing.metering.requests import QuotaRefused, QuotaRequest
from billing.metering.usage import AddressUse, Counters, LimitState, Usage
from billing.plans import Limits

ADMITTED: Final = "admitted"


@dataclass(frozen=True, slots=True)
class Decision:
    """`verdict`: admitted, or the name of the limit that forbids it."""

    verdict: str
    output_tokens: int | None = None
    """What it may produce; None: no limit stands in the way."""


def decide(counters: Counters, wanted: QuotaRequest) -> Decision:
    """By the account's limits.  The one with the longest wait is named first: it matters most."""
    limits, output = wanted.limits, wanted.output_tokens
    if _reached(limits.requests_per_day, counters.day_requests):
        return Decision("requests_per_day")
    if limits.tokens_per_day is not None:
        left = limits.tokens_per_day - counters.day_tokens - wanted.prompt_tokens
        if left < wanted.least_output_tokens:
            return Decision("tokens_per_day")
        output = left if output is None else min(output, left)
    if wanted.session and _reached(limits.requests_per_session, counters.session_requests):
        return Decision("requests_per_session")
    if _reached(limits.requests_per_hour, counters.hour_requests):
        return Decision("requests_per_hour")
    if counters.in_flight >= limits.concurrent_requests:
        return Decision("concurrent_requests")
    return Decision(ADMITTED, output)


def decide_by_address(limits: Limits, use: AddressUse) -> Decision:
    """By the address's limits."""
    if not use.knows_account and _reached(limits.address_accounts_per_hour, use.hour_accounts):
        return Decision("address_accounts_per_hour")
    if _reached(limits.address_requests_per_hour, use.hour_requests):
        return Decision("address_requests_per_hour")
    if _reached(limits.address_requests_per_minute, use.minute_requests):
        return Decision("address_requests_per_minute")
    return Decision(ADMITTED)


def _reached(limit: int | None, used: int) -> bool:
    return limit is not None and used >= limit


def decided(usage: Usage, wanted: QuotaRequest) -> int | None:
    """The output that `usage` leaves to the request; QuotaRefused where it leaves none."""
    decisions = [decide(usage.counters, wanted)]
    if usage.address is not None:
        decisions.append(decide_by_address(usage.limits, usage.address))
    refusing = [usage.state(one.verdict) for one in decisions if one.verdict != ADMITTED]
    if refusing:
        raise QuotaRefused(usage, longest_wait(refusing), wanted.tokens_needed)
    return decisions[0].output_tokens


def longest_wait(refusing: Iterable[LimitState]) -> LimitState:
    """Of several limits that refuse a request the one that matters."""
    return max(refusing, key=lambda limit: limit.resets_in_seconds or 0)
