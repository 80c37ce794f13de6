"""What tokens cost and what they are charged at, in millionths of a dollar, by dated prices."""

from dataclasses import dataclass
from typing import Final

from accounts.postgres import ReadPool

_MILLION: Final = 1_000_000

# Of each subject, the price in force now.
_QUERY: Final = """
SELECT DISTINCT ON (kind, subject) kind, subject, prompt_micros, completion_micros
  FROM billing_price WHERE valid_from <= now() ORDER BY kind, subject, valid_from DESC
"""


@dataclass(frozen=True, slots=True)
class TokenPrice:
    """Millionths of a dollar for a million tokens."""

    prompt_micros: int
    completion_micros: int

    def of(self, prompt_tokens: int, completion_tokens: int) -> int:
        """The amount in millionths of a dollar, rounded to the nearest."""
        exact = self.prompt_micros * prompt_tokens + self.completion_micros * completion_tokens
        return (exact + _MILLION // 2) // _MILLION


_FREE: Final = TokenPrice(0, 0)


class PriceBook:
    """The prices in force, in memory.  What has no price costs nothing."""

    def __init__(self, pool: ReadPool) -> None:
        self._pool = pool
        self._prices: dict[tuple[str, str], TokenPrice] = {}

    async def refresh(self) -> None:
        """Reads the table.  Raises PostgresUnavailable."""
        rows = await self._pool.fetch(_QUERY)
        self._prices = {(row[0], row[1]): TokenPrice(row[2], row[3]) for row in rows}

    def provider_cost(self, deployment: str) -> TokenPrice:
        """What the provider takes from us for this deployment."""
        return self._prices.get(("provider", deployment), _FREE)

    def plan_price(self, model: str) -> TokenPrice:
        """What the plan charges for this public model."""
        return self._prices.get(("plan", model), _FREE)
