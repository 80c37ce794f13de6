"""What each plan may use.  The entitlement says which tier an account is on; what a tier has is
said here and in the plans' table, and nowhere else are tiers compared.
"""

from collections.abc import Callable, Iterable
from typing import Final

from billing.plans import Limits
from billing.tiers import Tier

_RANK: Final = {tier.value: rank for rank, tier in enumerate(Tier)}


def may_use(tier: str, model_tier: str) -> bool:
    """Whether a caller on `tier` may use a model of `model_tier`; a visitor gets what free gets."""
    return max(_RANK[tier], _RANK[Tier.FREE.value]) >= _RANK[model_tier]


def priority(tier: str) -> int:
    """Who goes first where callers have to queue: the lowest number, as in a heap."""
    return _RANK[Tier.PRO.value] - _RANK[tier]


def context_window(limits: Limits, model_window: int) -> int:
    """Tokens of prompt and completion together, of a model that takes `model_window` of them."""
    return min(model_window, limits.context_window or model_window)


def takes_prompt(limits: Limits, characters: int) -> bool:
    """Whether the plan takes a prompt of so many characters, all messages together."""
    return limits.prompt_characters is None or characters <= limits.prompt_characters


def may_upgrade(tier: str) -> bool:
    """Whether there is a plan above: only then is anybody told of one."""
    return _RANK[tier] < _RANK[Tier.PRO.value]


def lowest_above(tier: str, plans: Iterable[Limits], has: Callable[[Limits], bool]) -> Tier | None:
    """The lowest plan above `tier` that has what is asked for; None where none has it."""
    tiers = {limits.tier for limits in plans if has(limits)}
    return next((one for one in Tier if _RANK[one] > _RANK[tier] and one in tiers), None)
