"""Step 1: from what a request presented to the caller that it comes from."""

import time
import uuid
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from accounts import credentials, visitors
from accounts.identifiers import uuid7
from accounts.identity import TokenHolder, TokenRefused, TokenUses, find_token_holder
from accounts.postgres import PostgresUnavailable, ReadPool
from accounts.preferences import NONE, Preferences, find_preferences
from billing.models import Tier
from billing.plans import Limits, PlanBook, Standing
from gateway.errors import NotAuthenticated, StoreUnavailable
from gateway.types import Caller, Presented

# A revoked token, a suspended account and a changed tier act within a second.
_CACHE_SECONDS: Final = 0.9
_CACHE_ENTRIES: Final = 50_000

_NOBODY: Final = Standing(Tier.VISITOR.value)


@dataclass(frozen=True, slots=True)
class _Known:
    """What a token's look-up gave, good until a moment of the clock."""

    until: float
    holder: TokenHolder | NotAuthenticated
    standing: Standing


class Authenticator:
    """Finds callers; remembers what a token's look-up gave for less than a second."""

    def __init__(
        self,
        reads: ReadPool,
        plans: PlanBook,
        token_uses: TokenUses,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reads = reads
        self._plans = plans
        self._token_uses = token_uses
        self._clock = clock
        self._known: OrderedDict[str, _Known] = OrderedDict()

    async def authenticate(self, presented: Presented) -> Caller:
        """The caller; NotAuthenticated if nothing valid was presented, StoreUnavailable."""
        try:
            if presented.bearer is not None:
                return await self._by_token(presented, presented.bearer)
            if presented.session_user_id is not None:
                user_id = presented.session_user_id
                limits = await self._plans.limits_for_user(user_id)
                preferences = await find_preferences(self._reads, user_id)
                return _caller(presented, user_id, limits, preferences=preferences)
        except PostgresUnavailable as error:
            raise StoreUnavailable("The account database is away. Try again shortly.") from error
        if presented.may_become_visitor:
            return self._visitor(presented)
        raise NotAuthenticated(
            "No token was sent. Send one as `Authorization: Bearer scalix_…`; create it on the "
            "tokens page."
        )

    async def remember(self, caller: Caller, presented: Presented) -> None:
        """Writes a visitor down, or that they came again; for users there is nothing to write."""
        if not caller.is_visitor:
            return
        try:
            await visitors.remember(
                self._reads, caller.account_id, presented.ip, presented.user_agent
            )
        except PostgresUnavailable as error:
            raise StoreUnavailable("The account database is away. Try again shortly.") from error

    async def _by_token(self, presented: Presented, secret: str) -> Caller:
        known = self._known.get(secret)
        if known is None or known.until < self._clock():
            known = _Known(self._clock() + _CACHE_SECONDS, *await self._look_up(secret))
            self._keep(secret, known)
        if isinstance(known.holder, NotAuthenticated):
            raise NotAuthenticated(known.holder.message, code=known.holder.code)
        self._token_uses.saw(known.holder.token_id)
        # The plan as it is now: what staff edit must not wait for this cache after its own.
        limits = self._plans.limits_in(known.standing)
        holder = known.holder
        preferences = holder.preferences
        return _caller(presented, holder.user_id, limits, token=holder, preferences=preferences)

    def _keep(self, secret: str, found: "_Known") -> None:
        """Remembers a look-up; not one for any text that somebody makes up, of any length."""
        if not credentials.is_well_formed(secret):
            return
        self._known[secret] = found
        self._known.move_to_end(secret)
        if len(self._known) > _CACHE_ENTRIES:
            self._known.popitem(last=False)

    async def _look_up(self, secret: str) -> tuple[TokenHolder | NotAuthenticated, Standing]:
        try:
            holder = await find_token_holder(self._reads, secret)
        except TokenRefused as refusal:
            return NotAuthenticated(str(refusal), code=refusal.code), _NOBODY
        return holder, await self._plans.standing_of(holder.user_id)

    def _visitor(self, presented: Presented) -> Caller:
        """The visitor that the credential proves, or a new one; the client's word names nobody."""
        limits = self._plans.limits_of(Tier.VISITOR.value)
        credential = presented.visitor
        visitor_id = visitors.visitor_id_of(credential) if credential else None
        if visitor_id is not None:
            return _caller(presented, visitor_id, limits, visitor=credential)
        visitor_id = uuid7()
        credential = visitors.credential_for(visitor_id)
        return _caller(presented, visitor_id, limits, visitor=credential, is_new=True)


def _caller(
    presented: Presented,
    account_id: uuid.UUID,
    limits: Limits,
    *,
    token: TokenHolder | None = None,
    visitor: str | None = None,
    is_new: bool = False,
    preferences: Preferences = NONE,
) -> Caller:
    address, session = presented.address, presented.session
    return Caller(account_id, limits, token, visitor, address, session, is_new, preferences)
