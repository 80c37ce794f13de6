"""Ratings: what whoever asked thinks of an answer, once for each request, and they may change it.

No content is kept, but for what they write themselves.
"""

import uuid
from dataclasses import dataclass
from typing import Final

from accounts.postgres import ReadPool

LONGEST_COMMENT: Final = 500

# Only the account that asked finds the row, and only an answer that was given can be rated.
_RATE: Final = """
INSERT INTO gateway_rating AS rating (request_id, account_id, deployment, up, comment, rated_at)
SELECT id, account_id, deployment, %(up)s, %(comment)s, now() FROM billing_ledgerentry
 WHERE id = %(request)s AND account_id = %(account)s AND deployment <> ''
   AND status IN ('settled', 'cancelled')
ON CONFLICT (request_id) DO UPDATE
   SET up = excluded.up, comment = excluded.comment, rated_at = excluded.rated_at
RETURNING rating.request_id
"""


@dataclass(frozen=True, slots=True)
class Feedback:
    """A rating as it was sent."""

    request_id: uuid.UUID
    up: bool
    comment: str = ""


async def rate(pool: ReadPool, account_id: uuid.UUID, feedback: Feedback) -> bool:
    """Keeps the rating, in place of an earlier one; False where that account has no such answer.

    Raises PostgresUnavailable.
    """
    values = {
        "request": feedback.request_id,
        "account": account_id,
        "up": feedback.up,
        "comment": feedback.comment[:LONGEST_COMMENT],
    }
    return bool(await pool.fetch(_RATE, values))
