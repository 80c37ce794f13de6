"""What went wrong, in words for a person on a page: what happened, until when, what to do."""

import datetime as dt
from dataclasses import dataclass, replace

from django.urls import reverse

from billing.gates import may_upgrade
from billing.metering.usage import LimitState, Usage
from billing.prompts import Trigger
from billing.tiers import Tier
from gateway.errors import (
    BlockedForAbuse,
    ContentRefused,
    GatewayError,
    InvalidRequest,
    LimitReached,
    ProviderFailure,
    ProviderRejected,
    ProvidersExhausted,
    StoreUnavailable,
)


@dataclass(frozen=True, slots=True)
class Notice:
    """A box on a page.  `tone` is warn or bad; `action` is a button's text."""

    title: str
    text: str = ""
    tone: str = "warn"
    resets_at: dt.datetime | None = None
    action: str = ""
    action_url: str = ""


def notice_of(error: GatewayError, free_plan: str) -> Notice:
    """The error as a reader needs it.  `free_plan`: what an account would have, for visitors."""
    if isinstance(error, LimitReached):
        notice = limit_notice(error.usage, error.limit, free_plan)
        throttled = error.metadata.get("throttled")
        return replace(notice, text=throttled["message"]) if throttled else notice
    if isinstance(error, StoreUnavailable):
        return Notice(
            "Scalix can’t count requests just now.",
            "So nothing was sent and nothing was charged. It is usually back within seconds: "
            "try again.",
            tone="bad",
        )
    if isinstance(error, ContentRefused | BlockedForAbuse):
        return _safety_notice(error)
    if isinstance(error, InvalidRequest | ProviderRejected):
        return Notice("This prompt can’t be sent.", error.message)
    if isinstance(error, ProvidersExhausted | ProviderFailure):
        broke_off = error.code in ("stream_cut", "deadline_exceeded")
        return Notice(
            "The answer broke off." if broke_off else "No model could answer just now.",
            "Nothing was charged. Your prompt is still here: try again in a moment.",
            tone="bad",
        )
    return Notice("That did not work.", error.message, tone="bad")


def _safety_notice(error: ContentRefused | BlockedForAbuse) -> Notice:
    if isinstance(error, BlockedForAbuse):
        return Notice("You can’t ask anything just now.", error.message, tone="bad")
    return Notice(
        f"This prompt breaks the rule “{error.metadata['rule']}”.",
        f"{error.metadata['explanation']} Nothing was charged.",
    )


def limit_notice(usage: Usage, limit: LimitState, free_plan: str) -> Notice:
    """That this limit refuses, or would refuse, the next request."""
    if limit.name == "concurrent_requests":
        return Notice(
            "A request of yours is still running.",
            "Wait for it to end, or stop it, and try again.",
        )
    period = "this hour’s" if limit.name == "requests_per_hour" else "today’s"
    left = limit.remaining or 0
    title = f"You have used all {limit.max:,} of {period} {limit.unit}."
    if left:
        title = f"This needs more than the {left:,} tokens that are left of today’s {limit.max:,}."
    notice = Notice(title, resets_at=limit.resets_at)
    if usage.limits.tier == Tier.VISITOR:
        return Notice(
            title,
            f"A free account gives you {free_plan}, and brings this conversation along.",
            resets_at=limit.resets_at,
            action="Create a free account",
            action_url=reverse("account_signup"),
        )
    if may_upgrade(usage.limits.tier):
        return Notice(
            title,
            "Everything else keeps working.",
            resets_at=limit.resets_at,
            action="See plans",
            action_url=f"{reverse('pricing')}?from={Trigger.LIMIT_REACHED.value}",
        )
    return notice
