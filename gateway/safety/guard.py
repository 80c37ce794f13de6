"""The request path's side of safety: what a caller's standing does, and what may not be asked."""

import datetime as dt
import uuid
from dataclasses import replace
from typing import Any, Final

from django.conf import settings

from accounts.postgres import ReadPool
from gateway.errors import BlockedForAbuse, GatewayError, LimitReached
from gateway.safety.effects import Effect, Effects, throttled
from gateway.safety.fingerprints import Fingerprints
from gateway.safety.rules import RuleBook
from gateway.types import Asked, Caller, Reservation

_MOST_REASONS: Final = 3


class Guard:
    """One per process.  `refresh` and `write` are called again and again, beside requests."""

    def __init__(self, pool: ReadPool) -> None:
        self._pool = pool
        self._rules = RuleBook(pool)
        self._effects = Effects(pool)
        self._fingerprints = Fingerprints()

    async def refresh(self) -> None:
        """Reads rules and effects.  Raises PostgresUnavailable."""
        await self._rules.refresh()
        await self._effects.refresh()

    async def write(self) -> None:
        """Writes fingerprints.  Raises PostgresUnavailable."""
        await self._fingerprints.write(self._pool)

    def judged(self, caller: Caller) -> Caller:
        """The caller with the limits that are left to them; who is blocked may still look up."""
        effects = self._effects_on(caller)
        return replace(caller, limits=throttled(caller.limits, effects)) if effects else caller

    def effects_of(
        self, account_id: uuid.UUID, tier: str, address: str | None
    ) -> tuple[Effect, ...]:
        """What holds for an account now, at the address that its requests count by."""
        return self._effects.on(account_id, address, tier)

    def _effects_on(self, caller: Caller) -> tuple[Effect, ...]:
        return self.effects_of(caller.account_id, caller.limits.tier, caller.address)

    async def check(self, caller: Caller, request: Asked) -> None:
        """BlockedForAbuse or ContentRefused where this may not be asked, by them or at all."""
        for effect in self._effects_on(caller):
            if effect.blocks:
                raise _blocked(effect)
        await self._rules.check(caller.limits.tier, request)

    def explain(self, error: GatewayError, caller: Caller) -> None:
        """Adds to a limit's refusal that the limit is lower than the plan's, and why."""
        if not isinstance(error, LimitReached):
            return
        for effect in self._effects_on(caller):
            error.message += f" {_what_is_done(effect)}"
            error.metadata |= {"throttled": _metadata(effect) | {"message": _what_is_done(effect)}}

    def admitted(self, reservation: Reservation) -> None:
        """Notes what the prompt is like."""
        self._fingerprints.note(
            reservation.request_id, reservation.caller.account_id, reservation.request
        )


def until_text(until: dt.datetime | None) -> str:
    """When an effect is over, in words."""
    return f"until {until:%d %b %H:%M} UTC" if until else "until staff lift it"


def _blocked(effect: Effect) -> BlockedForAbuse:
    return BlockedForAbuse(
        _what_is_done(effect),
        code=f"{_subject(effect)}_blocked_for_abuse",
        metadata=_metadata(effect),
    )


def _subject(effect: Effect) -> str:
    return "address" if effect.of_address else "account"


def _what_is_done(effect: Effect) -> str:
    whose = "Your network address" if effect.of_address else "Your account"
    done = "is blocked" if effect.blocks else "is slowed down to a quarter of its usual requests"
    seen = "; ".join(effect.reasons[:_MOST_REASONS])
    return (
        f"{whose} {done} {until_text(effect.until)}, because the way it was used looked like abuse:"
        f" {seen}. If this is a mistake, say so at {_appeal_url()}."
    )


def _metadata(effect: Effect) -> dict[str, Any]:
    return {
        "since": f"{effect.since:%Y-%m-%dT%H:%M:%SZ}",
        "until": effect.until and f"{effect.until:%Y-%m-%dT%H:%M:%SZ}",
        "reasons": list(effect.reasons),
        "appeal_url": _appeal_url(),
    }


def _appeal_url() -> str:
    return f"{settings.PUBLIC_URL}/dashboard/"
