"""What Postgres and the counters say after a load, read past the product's own arithmetic."""

import datetime as dt
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import httpx
import psycopg
from psycopg.rows import class_row

from tests.faults.crowd import Account

# A row that the product has taken back counts as one that was never charged.
_ROWS: Final = """
SELECT entry.id, email, entry.session, entry.status,
       entry.charged AND correction.id IS NULL AS charged, entry.requests, entry.error_code,
       entry.admitted_at, host(entry.address) AS address, entry.address_counted,
       entry.prompt_tokens, entry.completion_tokens,
       CASE entry.status WHEN 'reserved' THEN entry.reserved_tokens
            ELSE entry.prompt_tokens + entry.completion_tokens END AS tokens
  FROM billing_ledgerentry entry
  JOIN accounts_user ON accounts_user.id = entry.account_id
  LEFT JOIN billing_ledgerentry correction
    ON correction.corrects = entry.id AND correction.requests = -1
   AND correction.prompt_tokens = -entry.prompt_tokens
   AND correction.completion_tokens = -entry.completion_tokens
 WHERE email = ANY(%s) AND entry.corrects IS NULL ORDER BY entry.id
"""
_WINDOWS: Final = ("requests_per_hour", "requests_per_day", "tokens_per_day")
_BY_ADDRESS: Final = (
    "address_requests_per_minute",
    "address_requests_per_hour",
    "address_accounts_per_hour",
)


@dataclass(frozen=True, slots=True)
class Row:
    """A ledger row.  `tokens` are those that count: reserved ones as long as it runs."""

    id: uuid.UUID
    email: str
    session: str
    status: str
    charged: bool
    requests: int
    error_code: str
    admitted_at: dt.datetime
    address: str | None
    address_counted: bool
    prompt_tokens: int
    completion_tokens: int
    tokens: int


def read_rows(dsn: str, accounts: Iterable[Account]) -> list[Row]:
    """All rows of these accounts, oldest first.  psycopg.OperationalError."""
    with psycopg.connect(dsn, row_factory=class_row(Row)) as connection:
        return connection.execute(_ROWS, [[one.email for one in accounts]]).fetchall()


def windows_of(row: Row) -> dict[str, dt.datetime]:
    """When each limit's window began that this row counts in."""
    hour = row.admitted_at.replace(minute=0, second=0, microsecond=0)
    day = hour.replace(hour=0)
    return {
        "requests_per_hour": hour,
        "requests_per_day": day,
        "tokens_per_day": day,
        "requests_per_session": day,
        "address_requests_per_minute": row.admitted_at.replace(second=0, microsecond=0),
        "address_requests_per_hour": hour,
        "address_accounts_per_hour": hour,
    }


def use_by_window(
    rows: Iterable[Row], accounts: Sequence[Account]
) -> dict[tuple[str, str, dt.datetime], int]:
    """What charged rows use: by limit, by whose it is (email or address), and by window."""
    by_email = {one.email: one for one in accounts}
    used: Counter[tuple[str, str, dt.datetime]] = Counter()
    guests: dict[tuple[str, str, dt.datetime], set[str]] = defaultdict(set)
    for row in rows:
        if not row.charged:
            continue
        for limit, since in windows_of(row).items():
            if limit in _BY_ADDRESS:
                if row.address_counted and row.address:
                    guests[limit, row.address, since].add(row.email)
                    used[limit, row.address, since] += row.requests
            elif limit != "requests_per_session" or by_email[row.email].shares_a_session:
                used[limit, row.email, since] += (
                    row.tokens if limit == "tokens_per_day" else row.requests
                )
    for key, emails in guests.items():
        if key[0] == "address_accounts_per_hour":
            used[key] = len(emails)
    return dict(used)


@dataclass(frozen=True, slots=True)
class Difference:
    """A counter that says another figure than the ledger."""

    who: str
    counter: str
    counted: int
    recorded: int


def differences(
    address: str, rows: Iterable[Row], accounts: Sequence[Account], now: dt.datetime
) -> list[Difference]:
    """The counters that differ from the rows, asked for by the API; nothing must be running."""
    used = use_by_window(rows, accounts)
    hour = now.replace(minute=0, second=0, microsecond=0)
    since = {
        "requests_per_hour": hour,
        "requests_per_day": hour.replace(hour=0),
        "tokens_per_day": hour.replace(hour=0),
        "address_requests_per_minute": now.replace(second=0, microsecond=0),
        "address_requests_per_hour": hour,
        "address_accounts_per_hour": hour,
    }
    found: list[Difference] = []
    # Side by side: what is cold waits a moment, each partition of the store by itself.
    with httpx.Client(base_url=address, timeout=20) as client, ThreadPoolExecutor(8) as threads:
        for account, limits in zip(
            accounts, threads.map(partial(_limits, client), accounts), strict=True
        ):
            names = _WINDOWS + (_BY_ADDRESS if account.address else ())
            for name in (name for name in names if name in limits):
                who = account.address if name in _BY_ADDRESS else account.email
                recorded = used.get((name, who, since[name]), 0)
                if limits[name]["used"] != recorded:
                    found.append(Difference(who, name, limits[name]["used"], recorded))
            held = limits["concurrent_requests"]["used"]
            if held:
                found.append(Difference(account.email, "concurrent_requests", held, 0))
    return found


def _limits(client: httpx.Client, account: Account) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {account.token}"}
    if account.address:
        headers["X-Forwarded-For"] = account.address
    answer = client.get("/api/v1/limits", headers=headers).raise_for_status()
    limits: dict[str, Any] = answer.json()["limits"]
    return limits
