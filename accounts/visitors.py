"""Visitors' signed credential, `vis_<id>:<signature>`, in a cookie or in a program's hands."""

import uuid

from django.core.signing import BadSignature, Signer

from accounts.identifiers import decode, encode
from accounts.postgres import ReadPool

COOKIE = "scalix_visitor"
HEADER = "x-scalix-visitor"
COOKIE_SECONDS = 60 * 60 * 24 * 90
_signer = Signer(salt="accounts.visitors")


def credential_for(visitor_id: uuid.UUID) -> str:
    """The text that proves to be this visitor."""
    return _signer.sign(encode("vis", visitor_id))


def visitor_id_of(credential: str) -> uuid.UUID | None:
    """Whose credential this is; None for one that we did not sign."""
    try:
        return decode("vis", _signer.unsign(credential))
    except (BadSignature, ValueError):
        return None


async def remember(pool: ReadPool, visitor_id: uuid.UUID, ip: str | None, user_agent: str) -> None:
    """Writes the visitor down, or that they came again.  Raises PostgresUnavailable."""
    await pool.fetch(
        "INSERT INTO accounts_visitor (id, ip, user_agent, created_at, last_request_at)"
        " VALUES (%s, %s, %s, now(), now())"
        " ON CONFLICT (id) DO UPDATE SET last_request_at = now(), ip = excluded.ip",
        (visitor_id, ip, user_agent[:300]),
    )
