"""The words of refusals: what, how much, until when, what to do.  They stand alone."""

import datetime as dt
from typing import Any, Final

from billing.gates import may_upgrade
from billing.metering.usage import LimitState, Usage
from billing.prompts import Trigger, upgrade_url
from billing.tiers import Tier

_PERIODS: Final = {
    "requests_per_hour": "Hourly",
    "requests_per_day": "Daily",
    "tokens_per_day": "Daily",
}


def explain(usage: Usage, limit: LimitState, tokens_needed: int, link: str) -> str:
    """One or two sentences for a person, from the figures that the decision was made on."""
    plan = usage.limits.title.lower()
    if limit.name == "concurrent_requests":
        plural = "" if limit.max == 1 else "s"
        return (
            f"The {plan} plan runs {limit.max} request{plural} at once, and {limit.used} "
            f"{'is' if limit.used == 1 else 'are'} running. Please try again in 1s."
        )
    if limit.scope != "account":
        return _of_others_too(usage, limit, link)
    reached = f"{_PERIODS[limit.name]} {plan} limit reached"
    figures = f"{limit.used:,} of {limit.max or 0:,} {limit.unit}"
    if limit.name == "tokens_per_day" and limit.remaining:
        figures += f", and this request needs at least {tokens_needed:,}"
    return f"{reached}: {figures}.{_resets(limit)}{_advice(usage, link)}"


def _of_others_too(usage: Usage, limit: LimitState, link: str) -> str:
    """The refusal by a limit of the session or of the network address."""
    figures = f"{limit.used:,} of {limit.max or 0:,} {limit.unit}"
    if limit.scope == "session":
        return (
            f"Limit of this session reached: {figures} today.{_resets(limit)} Another session "
            f"may go on.{_advice(usage, link)}"
        )
    reached = f"Limit of your network address reached: {figures} this"
    if limit.name == "address_requests_per_minute":
        return f"{reached} minute. Please try again in {limit.resets_in_seconds}s."
    return f"{reached} hour, whoever made them.{_resets(limit)}{_advice(usage, link)}"


def _resets(limit: LimitState) -> str:
    if limit.resets_at is None or limit.resets_in_seconds is None:
        return ""
    return f" Resets {limit.resets_at:%H:%M} UTC (in {duration(limit.resets_in_seconds)})."


def trigger_of(limit: LimitState) -> Trigger:
    """What a refusal by this limit counts as.  More requests at once are a feature of a plan."""
    return Trigger.PRO_FEATURE if limit.resets_at is None else Trigger.LIMIT_REACHED


def plan_with_it(plan: Tier | None, trigger: Trigger) -> tuple[str, dict[str, Any]]:
    """A sentence that points to the plan that has what was refused, and the same as metadata."""
    if plan is None:
        return "", {}
    link = upgrade_url(trigger)
    return (
        f" The {plan.label.lower()} plan takes it. Upgrade: {link}",
        {"required_plan": plan.value, "upgrade_url": link},
    )


def duration(seconds: int) -> str:
    """`11 h 6 min`, `42 min`, `12 s`: the largest units, in full; the exact time is beside it."""
    if seconds < 60:
        return f"{seconds} s"
    hours, minutes = divmod(seconds // 60, 60)
    if not hours:
        return f"{minutes} min"
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def wire_duration(seconds: int) -> str:
    """OpenAI's form in `x-ratelimit-reset-*`: `1s`, `6m0s`, `11h6m40s`."""
    delta = dt.timedelta(seconds=seconds)
    hours, rest = divmod(int(delta.total_seconds()), 3600)
    minutes, seconds = divmod(rest, 60)
    if hours:
        return f"{hours}h{minutes}m{seconds}s"
    return f"{minutes}m{seconds}s" if minutes else f"{seconds}s"


def _advice(usage: Usage, link: str) -> str:
    if not may_upgrade(usage.limits.tier):
        return ""
    if usage.limits.tier == Tier.VISITOR:
        return f" Sign up for more, free: {link}"
    return f" Upgrade: {link}"
