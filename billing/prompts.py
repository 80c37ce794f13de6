"""Upgrade prompts: when a plan above is worth a word, which one, and how often.

A prompt has a trigger, a channel and a window; it is shown once in a window, and each showing,
click and dismissal is a step in the funnel.  Nobody on the highest plan is shown any.
"""

import datetime as dt
import uuid
from dataclasses import dataclass
from typing import Final

from django.conf import settings
from django.utils import timezone

from billing import funnel, gates
from billing.metering.usage import LimitState, Usage
from billing.payments.models import FunnelEvent
from billing.tiers import Tier

Kind = FunnelEvent.Kind
Trigger = FunnelEvent.Trigger
Channel = FunnelEvent.Channel

_NEAR_SHARE: Final = 0.8
_FEW_REQUESTS: Final = 5
_EVER: Final = "ever"


@dataclass(frozen=True, slots=True)
class Prompt:
    """What may be said beside an answer that left the account with this usage."""

    trigger: Trigger
    window: str
    usage: Usage
    limit: LimitState | None = None  # the one that is nearly used up, if that is the reason

    @property
    def message(self) -> str:
        """One or two sentences that stand alone."""
        return _little_left(self.usage, self.limit) if self.limit else _welcome(self.usage)

    @property
    def upgrade_url(self) -> str:
        """The pricing page, which is told what led there."""
        return upgrade_url(self.trigger)


def upgrade_url(trigger: Trigger) -> str:
    """The pricing page, told what led there: see `clicked`."""
    return f"{settings.PUBLIC_URL}/pricing/?from={trigger.value}"


def due(usage: Usage, *, is_first: bool) -> tuple[Prompt, ...]:
    """What an answer that left the account with this usage gives reason to say, first things first.

    `is_first`: the account was never answered before.  Whoever shows one shows one only.
    """
    if not gates.may_upgrade(usage.limits.tier):
        return ()
    near = tuple(
        Prompt(Trigger.NEAR_LIMIT, window_of(limit), usage, limit) for limit in near_limits(usage)
    )
    return (Prompt(Trigger.FIRST_REQUEST, _EVER, usage), *near) if is_first else near


def near_limits(usage: Usage) -> list[LimitState]:
    """The limits of which 80 % is used or no more than five requests are left, fullest first."""
    near = (limit for limit in usage.windows if _is_near(limit))
    return sorted(near, key=lambda limit: limit.share, reverse=True)


def _is_near(limit: LimitState) -> bool:
    if limit.remaining is None or not limit.used:
        return False
    few = limit.unit == "requests" and limit.remaining <= _FEW_REQUESTS
    return few or limit.share >= _NEAR_SHARE


def window_of(limit: LimitState) -> str:
    """Names the limit and its window, by the moment that it ends."""
    assert limit.resets_at is not None
    return f"{limit.name}:{limit.resets_at.isoformat()}"


def day_of(at: dt.datetime) -> str:
    """The window of what is shown once a UTC day."""
    return f"{at:%Y-%m-%d}"


def clicked(account_id: uuid.UUID, trigger: str) -> None:
    """Notes that a prompt led its reader to the pricing page.  One click counts for each showing.

    `trigger` is what the address said, so the reader's word: an unknown one is nothing.
    """
    if trigger not in Trigger.values or trigger == Trigger.NONE:
        return
    shown = FunnelEvent.objects.filter(account_id=account_id, kind=Kind.SHOWN, trigger=trigger)
    latest = shown.first()
    funnel.note(
        account_id,
        Kind.CLICKED,
        trigger=Trigger(trigger),
        channel=Channel(latest.channel) if latest else Channel.PAGE,
        window=latest.window if latest else day_of(timezone.now()),
    )


def dismissed(account_id: uuid.UUID, limit: LimitState) -> None:
    """Notes that the banner about this limit was closed."""
    funnel.note(
        account_id,
        Kind.DISMISSED,
        trigger=Trigger.NEAR_LIMIT,
        channel=Channel.BANNER,
        window=window_of(limit),
    )


def _welcome(usage: Usage) -> str:
    if usage.limits.tier == Tier.VISITOR:
        return "This is your first answer. A free account gives you more of them."
    return "This is your first answer. The Pro plan has every model, and room for much more."


def _little_left(usage: Usage, limit: LimitState) -> str:
    plan = "A free account" if usage.limits.tier == Tier.VISITOR else "The Pro plan"
    return f"{limit.used:,} of {limit.max or 0:,} {limit.title} are used. {plan} gives you more."
