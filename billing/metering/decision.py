"""May a request be made?  The rule that both counter stores decide by, in plain Python.

`quota.lua` and `address.lua` are the same rule on counters in Redis.  This one decides where there
is no Redis, and says what would be decided.  Tests hold the two against each other.
"""

from dataclasses import dataclass
from typing import Final

from billing.metering.usage import AddressUse, Counters
from billing.plans import Limits

ADMITTED: Final = "admitted"


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants to spend.  Tokens are bounds, as in QuotaRequest."""

    prompt_tokens: int
    output_tokens: int | None
    least_output_tokens: int
    has_session: bool


@dataclass(frozen=True, slots=True)
class Decision:
    """`verdict`: admitted, or the name of the limit that forbids it."""

    verdict: str
    output_tokens: int | None = None
    """What it may produce; None: no limit stands in the way."""


def decide(limits: Limits, counters: Counters, wish: Wish) -> Decision:
    """By the account's limits.  The one with the longest wait is named first: it matters most."""
    output = wish.output_tokens
    if _reached(limits.requests_per_day, counters.day_requests):
        return Decision("requests_per_day")
    if limits.tokens_per_day is not None:
        left = limits.tokens_per_day - counters.day_tokens - wish.prompt_tokens
        if left < wish.least_output_tokens:
            return Decision("tokens_per_day")
        output = left if output is None else min(output, left)
    if wish.has_session and _reached(limits.requests_per_session, counters.session_requests):
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
