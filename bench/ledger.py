"""Read the ledger as it is in Postgres, past the product's own code."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import class_row

_COLUMNS = """
    id, account_id, status, charged, streamed, estimated, prompt_tokens, completion_tokens,
    error_code, attempts
"""


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """The columns that the proofs look at."""

    id: uuid.UUID
    account_id: uuid.UUID
    status: str
    charged: bool
    streamed: bool
    estimated: bool
    prompt_tokens: int
    completion_tokens: int
    error_code: str
    attempts: list[dict[str, Any]]


class Ledger:
    """One product's ledger."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    def rows(self, emails: Iterable[str]) -> list[LedgerRow]:
        """Every row of these users, oldest first. Raises psycopg.OperationalError."""
        query = f"""
            SELECT {_COLUMNS} FROM billing_ledgerentry
             WHERE account_id IN (SELECT id FROM accounts_user WHERE email = ANY(%s)) ORDER BY id
        """
        with psycopg.connect(self._dsn, row_factory=class_row(LedgerRow)) as connection:
            return connection.execute(query, [list(emails)]).fetchall()

    def all_ended(self, emails: Iterable[str]) -> bool:
        """Whether no row of these users is still `reserved`."""
        return all(row.status != "reserved" for row in self.rows(emails))

    def tokens_today(self, email: str) -> int:
        """The tokens that a user was charged for since midnight, UTC."""
        query = """
            SELECT coalesce(sum(prompt_tokens + completion_tokens), 0) FROM billing_ledgerentry
             WHERE account_id = (SELECT id FROM accounts_user WHERE email = %s) AND charged
               AND admitted_at >= date_trunc('day', now(), 'UTC')
        """
        with psycopg.connect(self._dsn) as connection:
            row = connection.execute(query, [email]).fetchone()
        assert row is not None
        return int(row[0])

    def counts(self) -> dict[str, int]:
        """How many rows there are in each status, of everybody."""
        with psycopg.connect(self._dsn) as connection:
            query = "SELECT status, count(*) FROM billing_ledgerentry GROUP BY status"
            return dict(connection.execute(query).fetchall())
