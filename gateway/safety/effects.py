"""What cases of abuse come to on the request path: fewer requests, or none.

Kept in memory and read again often, as plans are; it ends by the clock, with nobody's help.
"""

import datetime as dt
import uuid
from dataclasses import dataclass, replace
from typing import Any, Final

from accounts.postgres import ReadPool
from billing.plans import Limits
from billing.tiers import Tier

_DIVIDED_BY: Final = 4
_HOURLY_WHERE_NO_LIMIT: Final = 60  # confirmed abuse of a plan without a limit

_OF_ACCOUNT: Final = ("requests_per_hour", "concurrent_requests")
_OF_ADDRESS: Final = (
    "address_requests_per_minute", "address_requests_per_hour", "address_accounts_per_hour",
)  # fmt: skip

_IN_FORCE: Final = """
  FROM gateway_abusecase
 WHERE state IN ('open', 'confirmed') AND level IN ('throttle', 'block')
   AND (effect_until IS NULL OR effect_until > now())
   AND coalesce((SELECT enabled FROM gateway_abusethresholds WHERE id = 1), true)
"""
_MARK: Final = f"SELECT count(*), max(changed_at) {_IN_FORCE}"
_ROWS: Final = (
    "SELECT id, account_id, host(address), level, opened_at, effect_until, reasons,"
    f" state = 'confirmed' {_IN_FORCE}"
)


@dataclass(frozen=True, slots=True)
class Effect:
    """What a case does, and what its subject is told of it."""

    case_id: int
    of_address: bool
    blocks: bool
    since: dt.datetime
    until: dt.datetime | None  # None: until staff lift it
    reasons: tuple[str, ...]
    confirmed: bool

    def acts_on(self, tier: str, now: dt.datetime) -> bool:
        """Whether it holds for a caller of that tier.

        Who pays is known, and is left alone until staff have looked; and no account that pays is
        made to suffer for its neighbours.
        """
        if self.until is not None and self.until <= now:
            return False
        return tier != Tier.PRO or (self.confirmed and not self.of_address)


class Effects:
    """Every effect in force, by account and by network address."""

    def __init__(self, pool: ReadPool) -> None:
        self._pool = pool
        self._mark: Any = None
        self._accounts: dict[uuid.UUID, Effect] = {}
        self._addresses: dict[str, Effect] = {}

    async def refresh(self) -> None:
        """Reads what has changed.  Raises PostgresUnavailable."""
        mark = await self._pool.fetch(_MARK)
        if mark == self._mark:
            return
        accounts, addresses = {}, {}
        for (
            case_id,
            account_id,
            address,
            level,
            since,
            until,
            reasons,
            confirmed,
        ) in await self._pool.fetch(_ROWS):
            texts = tuple(one["text"] for one in reasons)
            effect = Effect(
                case_id, address is not None, level == "block", since, until, texts, confirmed
            )
            if address is None:
                accounts[account_id] = effect
            else:
                addresses[address] = effect
        self._accounts, self._addresses, self._mark = accounts, addresses, mark

    def on(self, account_id: uuid.UUID, address: str | None, tier: str) -> tuple[Effect, ...]:
        """What holds for a caller now; the account's before the address's."""
        found = (self._accounts.get(account_id), address and self._addresses.get(address))
        if found == (None, None):
            return ()
        now = dt.datetime.now(dt.UTC)
        return tuple(effect for effect in found if effect and effect.acts_on(tier, now))


def throttled(limits: Limits, effects: tuple[Effect, ...]) -> Limits:
    """The limits under these effects: a quarter, one at least.  A blocked caller's are no other."""
    names = [
        name
        for effect in effects
        if not effect.blocks
        for name in (_OF_ADDRESS if effect.of_address else _OF_ACCOUNT)
    ]
    changed: dict[str, Any] = {name: _quarter(name, getattr(limits, name)) for name in names}
    return replace(limits, **changed) if changed else limits


def _quarter(name: str, limit: int | None) -> int | None:
    if limit is None:
        return _HOURLY_WHERE_NO_LIMIT if name == "requests_per_hour" else None
    return max(1, limit // _DIVIDED_BY)
