"""The tiers and their limits, and which tier an account is on."""

import asyncio
import uuid
from dataclasses import dataclass
from typing import Final

from accounts.postgres import PostgresUnavailable, ReadPool
from billing.models import Tier

REFRESH_SECONDS: Final = 0.5  # staff's edits act within a second


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
_TIER = """
SELECT tier FROM billing_subscription
 WHERE user_id = %s AND (ends_at IS NULL OR ends_at > now())
"""


class PlanBook:
    """The plans as the table has them, kept in memory and read again every half second."""

    def __init__(self, pool: ReadPool) -> None:
        self._pool = pool
        self._plans: dict[str, Limits] = {}

    async def refresh(self) -> None:
        """Reads the table.  Raises PostgresUnavailable."""
        self._plans = {row[0]: Limits(*row) for row in await self._pool.fetch(_PLANS)}

    def limits_of(self, tier: str) -> Limits:
        """The tier's limits; KeyError if the table has no such plan."""
        return self._plans[tier]

    async def limits_for_user(self, user_id: uuid.UUID) -> Limits:
        """What this user's subscription gives, free where there is none: the only source of a tier."""
        rows = await self._pool.fetch(_TIER, (user_id,))
        return self.limits_of(rows[0][0] if rows else Tier.FREE.value)

    async def keep_fresh(self) -> None:
        """Refreshes for ever; while Postgres is away the last plans stay in force."""
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            try:
                await self.refresh()
            except PostgresUnavailable:
                continue  # nothing is admitted without Postgres either
