"""The mail that a limit is reached: the first time, then once in seven days at most.

The request path is what learns of it, so it's owed in SQL, many at a time, off that path.
"""

import asyncio
import datetime as dt
import json
import uuid
from typing import Final

from accounts.identifiers import uuid7
from accounts.postgres import PostgresUnavailable, ReadPool
from billing import prompts
from billing.metering.usage import LimitState

_MOST_WAITING: Final = 10_000

# Visitors have no address, and no row to join.  The key keeps two processes from a mail each.
_OWE: Final = """
WITH reached AS (
    SELECT * FROM json_to_recordset(%s::json)
               AS (mail uuid, step uuid, account uuid, day text, key text, context jsonb)
), owed AS (
    INSERT INTO billing_outgoingmail (id, user_id, kind, key, context, created_at, attempts, error)
    SELECT reached.mail, account.id, 'limit_reached', reached.key, reached.context, now(), 0, ''
      FROM reached JOIN accounts_user account ON account.id = reached.account
     WHERE NOT EXISTS (
           SELECT 1 FROM billing_outgoingmail earlier
            WHERE earlier.user_id = reached.account AND earlier.kind = 'limit_reached'
              AND earlier.created_at > now() - interval '7 days')
    ON CONFLICT DO NOTHING
    RETURNING id
)
INSERT INTO billing_funnelevent (id, account_id, kind, trigger, channel, "window", at)
SELECT step, account, 'shown', 'limit_reached', 'mail', day, now()
  FROM reached JOIN owed ON owed.id = reached.mail
ON CONFLICT DO NOTHING
"""


class LimitMails:
    """Mails that refusals gave reason for.  What a process has not written is lost with it."""

    def __init__(self) -> None:
        self._waiting: dict[uuid.UUID, LimitState] = {}

    def owe(self, account_id: uuid.UUID, limit: LimitState) -> None:
        """Notes that this limit, which a clock resets, refused a request of the account."""
        if len(self._waiting) < _MOST_WAITING:
            self._waiting.setdefault(account_id, limit)

    async def write(self, pool: ReadPool) -> None:
        """Owes what is due.  PostgresUnavailable, and then it is kept for the next call."""
        waiting, self._waiting = self._waiting, {}
        if not waiting:
            return
        today = prompts.day_of(dt.datetime.now(dt.UTC))
        rows = [_row(account_id, limit, today) for account_id, limit in waiting.items()]
        try:
            await pool.fetch(_OWE, (json.dumps(rows),))
        except (PostgresUnavailable, asyncio.CancelledError):  # it may be repeated
            self._waiting = waiting | self._waiting
            raise


def _row(account_id: uuid.UUID, limit: LimitState, today: str) -> dict[str, object]:
    assert limit.resets_at is not None
    return {
        "mail": str(uuid7()),
        "step": str(uuid7()),
        "account": str(account_id),
        "day": today,
        "key": f"limit_reached:{account_id}:{today}",
        "context": {
            "limit": limit.title,
            "max": limit.max,
            "unit": limit.unit,
            "resets_at": limit.resets_at.isoformat(),
            "upgrade_url": prompts.upgrade_url(prompts.Trigger.LIMIT_REACHED),
        },
    }
