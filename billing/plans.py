"""The tiers and their limits, and which tier an account is on."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any

from accounts.postgres import ReadPool
from billing.models import Allowance, Tier


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
    requests_per_session: int | None = None
    address_requests_per_minute: int | None = None
    address_requests_per_hour: int | None = None
    address_accounts_per_hour: int | None = None

    @property
    def by_address(self) -> bool:
        """Whether requests count against their network address."""
        return (
            self.address_requests_per_minute is not None
            or self.address_requests_per_hour is not None
            or self.address_accounts_per_hour is not None
        )

    @property
    def title(self) -> str:
        """The plan's name for people."""
        return Tier(self.tier).label


@dataclass(frozen=True, slots=True)
class Granted:
    """An allowance in force: which limit, whether `set` or `add`, and how much (None: no limit)."""

    limit: str
    kind: str
    amount: int | None


@dataclass(frozen=True, slots=True)
class Standing:
    """What decides about a user's limits besides the plans' table."""

    tier: str
    granted: tuple[Granted, ...] = ()


_PLANS = f"""
SELECT {", ".join(field.name for field in fields(Limits))} FROM billing_plan
"""  # noqa: S608  (our own names)
_STANDING = """
SELECT EXISTS (SELECT FROM billing_subscription
                WHERE user_id = %(user)s AND tier = 'pro'
                  AND (ends_at IS NULL OR ends_at > now())),
       (SELECT coalesce(json_agg(json_build_array("limit", kind, amount) ORDER BY id), '[]')
          FROM billing_allowance
         WHERE user_id = %(user)s AND starts_at <= now()
           AND (ends_at IS NULL OR ends_at > now()))
"""


def with_allowances(limits: Limits, granted: Iterable[Granted]) -> Limits:
    """The plan's limits with what was granted: of several `set` the last, then every `add`."""
    changed: dict[str, Any] = {}
    for one in sorted(granted, key=lambda one: one.kind == Allowance.Kind.ADD):
        if one.kind == Allowance.Kind.SET:
            changed[one.limit] = one.amount
            continue
        before = changed.get(one.limit, getattr(limits, one.limit))
        changed[one.limit] = None if before is None else before + (one.amount or 0)
    return replace(limits, **changed) if changed else limits


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

    def limits_in(self, standing: Standing) -> Limits:
        """The limits of a user who stands so, by the plans as they are now."""
        return with_allowances(self._plans[standing.tier], standing.granted)

    async def standing_of(self, user_id: uuid.UUID) -> Standing:
        """The tier that the user's subscriptions give, and what was granted beside it, now."""
        ((is_pro, granted),) = await self._pool.fetch(_STANDING, {"user": user_id})
        tier = Tier.PRO if is_pro else Tier.FREE
        return Standing(tier.value, tuple(Granted(*one) for one in granted))

    async def limits_for_user(self, user_id: uuid.UUID) -> Limits:
        """The user's limits now."""
        return self.limits_in(await self.standing_of(user_id))
