"""The tiers and their limits, and which tier an account is on."""

import uuid
from dataclasses import dataclass

from accounts.postgres import ReadPool
from billing.models import Tier


@dataclass(frozen=True, slots=True)
class Limits:
    """One plan's limits; None is no limit."""

    tier: str
    requests_per_hour: int | None
    requests_per_day: int | None
    tokens_per_day: int | None
    concurrent_requests: int
    context_window: int | None
    prompt_characters: int | None
    default_max_tokens: int | None

    @property
    def title(self) -> str:
        """The plan's name for people."""
        return Tier(self.tier).label


_PLANS = """
SELECT tier, requests_per_hour, requests_per_day, tokens_per_day, concurrent_requests,
       context_window, prompt_characters, default_max_tokens FROM billing_plan
"""
_PRO = """
SELECT 1 FROM billing_subscription
 WHERE user_id = %s AND tier = 'pro' AND (ends_at IS NULL OR ends_at > now())
 LIMIT 1
"""


class PlanBook:
    """The plans as the table has them, kept in memory and read again often."""

    def __init__(self, pool: ReadPool) -> None:
        self._pool = pool
        self._plans: dict[str, Limits] = {}

    async def refresh(self) -> None:
        """Reads the table.  Raises PostgresUnavailable."""
        self._plans = {row[0]: Limits(*row) for row in await self._pool.fetch(_PLANS)}

    @property
    def all(self) -> tuple[Limits, ...]:
        """Every plan's limits, in no order."""
        return tuple(self._plans.values())

    def limits_of(self, tier: str) -> Limits:
        """The tier's limits; KeyError if the table has no such plan."""
        return self._plans[tier]

    async def limits_for_user(self, user_id: uuid.UUID) -> Limits:
        """What the user's subscriptions give, free where there is none; nothing else does."""
        pro = await self._pool.fetch(_PRO, (user_id,))
        return self.limits_of(Tier.PRO.value if pro else Tier.FREE.value)
