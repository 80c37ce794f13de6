"""From a token's text to its owner, on the request path."""

import datetime as dt
import hmac
import uuid
from dataclasses import dataclass
from typing import Any

from accounts import credentials
from accounts.postgres import ReadPool
from accounts.preferences import NONE, Preferences, preferences_in


class TokenRefused(Exception):
    """The credential opens nothing; `code` says why, for the caller and for `WWW-Authenticate`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class TokenHolder:
    """Who presented a valid token."""

    user_id: uuid.UUID
    email: str
    token_id: uuid.UUID
    token_name: str
    token_display: str
    expires_at: dt.datetime | None
    preferences: Preferences = NONE


_FIND = """
SELECT token.digest, token.user_id, account.email, token.id, token.name, token.prefix,
       token.last_four, token.expires_at, token.revoked_at, account.is_active,
       account.preferred_models, account.avoided_models
  FROM accounts_apitoken token JOIN accounts_user account ON account.id = token.user_id
 WHERE token.prefix = %s
"""


async def find_token_holder(pool: ReadPool, secret: str) -> TokenHolder:
    """The token's owner; TokenRefused when it is unknown, revoked or expired, or they are off."""
    if not credentials.is_well_formed(secret):
        raise TokenRefused(
            "invalid_api_key", "This is not a Scalix token. Check for a typing slip."
        )
    wanted = credentials.digest(secret)
    for row in await pool.fetch(_FIND, (credentials.lookup_prefix(secret),)):
        if hmac.compare_digest(bytes(row[0]), wanted):
            return _holder(row[1:])
    raise TokenRefused("invalid_api_key", "No such token. Create one on the tokens page.")


def _holder(row: tuple[Any, ...]) -> TokenHolder:
    (user_id, email, token_id, name, prefix, last_four, expires_at, revoked_at, is_active,
     preferred, avoided) = row  # fmt: skip
    if revoked_at is not None:
        raise TokenRefused("token_revoked", f"The token “{name}” was revoked.")
    if expires_at is not None and expires_at <= dt.datetime.now(dt.UTC):
        raise TokenRefused("token_expired", f"The token “{name}” has expired.")
    if not is_active:
        raise TokenRefused("account_suspended", "This account is suspended.")
    display, preferences = f"{prefix}…{last_four}", preferences_in(preferred, avoided)
    return TokenHolder(user_id, email, token_id, name, display, expires_at, preferences)


class TokenUses:
    """When each token was last used, kept here and written every few seconds, not every request."""

    def __init__(self) -> None:
        self._last: dict[uuid.UUID, dt.datetime] = {}

    def saw(self, token_id: uuid.UUID) -> None:
        """Notes a use, now."""
        self._last[token_id] = dt.datetime.now(dt.UTC)

    async def write(self, pool: ReadPool) -> None:
        """Writes what was noted since the last call; what can't be written is kept for the next."""
        uses, self._last = self._last, {}
        if not uses:
            return
        try:
            await pool.fetch(
                "UPDATE accounts_apitoken token SET last_used_at = used.at"
                "  FROM unnest(%s::uuid[], %s::timestamptz[]) AS used (id, at)"
                " WHERE token.id = used.id"
                "   AND (token.last_used_at IS NULL OR token.last_used_at < used.at)",
                (list(uses), list(uses.values())),
            )
        except Exception:
            self._last = uses | self._last
            raise
