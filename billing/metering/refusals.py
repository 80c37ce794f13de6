"""Requests that were not admitted, written in batches off the request path.

Whoever hammers costs a row now and then and not one each: of one address's, or account's, refusals
of one kind within a minute the first are kept one by one, and from then on one row at each writing
stands for all since the last.  The sum of `stands_for` is exact.
"""

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import orjson

from accounts.postgres import PostgresUnavailable, ReadPool

_EACH: Final = 20  # of a kind a minute that have rows of their own
_KINDS: Final = 2_000  # of a minute; what comes after them is one kind
_WINDOW_SECONDS: Final = 60.0

_INSERT: Final = """
INSERT INTO billing_refusal (id, account_id, token_id, tier, model, code, "limit", message, address,
                             stands_for)
SELECT id, account_id, token_id, tier, model, code, "limit", message, address, stands_for
  FROM json_to_recordset(%s::json) AS refused (id uuid, account_id uuid, token_id uuid, tier text,
       model text, code text, "limit" text, message text, address inet, stands_for integer)
    ON CONFLICT (id) DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class Refused:
    """One refusal.  `id` is the request's own, which its response carried."""

    id: uuid.UUID
    code: str
    message: str
    account_id: uuid.UUID | None = None
    token_id: uuid.UUID | None = None
    tier: str = ""
    model: str = ""
    limit: str = ""
    address: str | None = None
    stands_for: int = 1

    @property
    def kind(self) -> tuple[str, str]:
        """What is sampled together: the same error, from the same address or by the same account.

        By the address first: who drops their credential is somebody new each time.
        """
        return self.code, self.address or str(self.account_id)


class Refusals:
    """Notes and writes them.  One per process, in one event loop."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._rows: list[Refused] = []
        self._sampled: dict[tuple[str, str], Refused] = {}
        self._seen: dict[tuple[str, str], int] = {}
        self._window = clock()

    def note(self, refused: Refused) -> None:
        """Keeps a refusal for the next writing."""
        if self._clock() - self._window >= _WINDOW_SECONDS:
            self._window = self._clock()
            self._seen.clear()
        kind = refused.kind
        if kind not in self._seen and len(self._seen) >= _KINDS:
            kind = ("", "")
        seen = self._seen[kind] = self._seen.get(kind, 0) + 1
        refused = replace(
            refused, message=_column(refused.message, 300), model=_column(refused.model, 100)
        )
        if seen <= _EACH:
            self._rows.append(refused)
            return
        before = self._sampled.get(kind)
        standing = before.stands_for + 1 if before else 1
        self._sampled[kind] = replace(refused, stands_for=standing)

    async def write(self, pool: ReadPool) -> None:
        """Writes what was noted.  PostgresUnavailable: it is kept for the next call."""
        rows, sampled = self._rows, self._sampled
        if not rows and not sampled:
            return
        self._rows, self._sampled = [], {}
        try:
            body = orjson.dumps([*rows, *sampled.values()])
            await pool.fetch(_INSERT, (body.decode(),))
        except PostgresUnavailable:
            self._rows = rows + self._rows
            for kind, one in sampled.items():
                later = self._sampled.get(kind, one)
                more = one.stands_for if kind in self._sampled else 0
                self._sampled[kind] = replace(later, stands_for=later.stands_for + more)
            raise


def _column(text: str, longest: int) -> str:
    """What a column can hold of a client's text."""
    return text.replace("\0", "")[:longest]
