"""The content rules in memory: what the request path holds prompts against."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, Final

from accounts.postgres import ReadPool
from billing.tiers import Tier
from gateway.errors import ContentRefused
from gateway.safety.matching import BadRule, Matcher, Rule, expression
from gateway.types import Asked

logger = logging.getLogger(__name__)

# Characters: from there on a thread hop is shorter than the search, during which RE2 lets go of
# the interpreter's lock.
_SEARCH_ELSEWHERE: Final = 100_000

_QUERY: Final = """
SELECT id, name, kind, text, explanation, tiers FROM gateway_contentrule WHERE enabled ORDER BY id
"""


class RuleBook:
    """Every enabled rule, compiled anew when the table has changed."""

    def __init__(self, pool: ReadPool) -> None:
        self._pool = pool
        self._rows: list[tuple[Any, ...]] = []
        self._matchers: dict[str, Matcher] = {}

    async def refresh(self) -> None:
        """Reads the table.  Raises PostgresUnavailable."""
        rows = await self._pool.fetch(_QUERY)
        if rows != self._rows:
            self._matchers = await asyncio.to_thread(_compiled, rows)
            self._rows = rows

    async def check(self, tier: str, request: Asked) -> None:
        """ContentRefused if the request breaks a rule that applies to the tier."""
        matcher = self._matchers.get(tier)
        if matcher is None:
            return
        text = "\n".join(request.prompt_texts())
        if len(text) > _SEARCH_ELSEWHERE:
            rule = await asyncio.to_thread(matcher.first_broken, text)
        else:
            rule = matcher.first_broken(text)
        if rule is not None:
            raise _refusal(rule)


def _compiled(rows: Sequence[tuple[Any, ...]]) -> dict[str, Matcher]:
    rules = [(Rule(*row[:5]), row[5]) for row in rows if _is_sound(row)]
    by_tier = {tier: [rule for rule, tiers in rules if tier in tiers] for tier in map(str, Tier)}
    return {tier: Matcher(applying) for tier, applying in by_tier.items() if applying}


def _is_sound(row: tuple[Any, ...]) -> bool:
    """Whether it can be searched for, as the admin sees to; SQL by hand does not."""
    try:
        expression(row[2], row[3])
    except BadRule as error:
        logger.warning("the content rule %r is left out: %s", row[1], error)
        return False
    return True


def _refusal(rule: Rule) -> ContentRefused:
    return ContentRefused(
        f"This prompt breaks the rule “{rule.name}”: {rule.explanation} Nothing was charged.",
        metadata={"rule": rule.name, "explanation": rule.explanation},
    )
