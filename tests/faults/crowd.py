"""Accounts for a load, made many at once; most have one limit that the load presses against."""

import zlib
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

import psycopg

from accounts import credentials
from accounts.identifiers import uuid7

ROOMY: Final = ""
"""The `limit` of an account that the load reaches no limit of."""

_USER: Final = """
INSERT INTO accounts_user (id, email, password, is_active, is_staff, is_superuser, date_joined,
       preferred_models, avoided_models)
VALUES (%s, %s, '!', true, false, false, now(), '{}', '{}')
"""
_TIER: Final = """
INSERT INTO billing_subscription (user_id, tier, source, created_at, updated_at)
VALUES (%s, 'pro', 'staff', now(), now())
"""
_TOKEN: Final = """
INSERT INTO accounts_apitoken (id, user_id, name, prefix, last_four, digest, created_at)
VALUES (%s, %s, 'load', %s, %s, %s, now())
"""
_ALLOWANCE: Final = """
INSERT INTO billing_allowance (user_id, "limit", kind, amount, starts_at, reason, created_at)
VALUES (%s, %s, 'set', %s, now() - interval '1 day', 'a load', now())
"""


@dataclass(frozen=True, slots=True)
class Account:
    """One account: its one `limit`, of `most`, and the network address that it comes from."""

    email: str
    token: str
    limit: str = ROOMY
    most: int = 0
    address: str = ""

    @property
    def shares_a_session(self) -> bool:
        """Whether all its requests are of one session; else each is of its own."""
        return self.limit == "requests_per_session"

    @property
    def limited(self) -> str:
        """Whose limit it is: its own, or its address's."""
        return self.address if self.limit.startswith("address_") else self.email


@dataclass(frozen=True, slots=True)
class Wanted:
    """What accounts to make: `count` of them with this limit, from one address if it has one."""

    count: int
    limit: str = ROOMY
    most: int = 0
    address: str = ""


def make_accounts(dsn: str, prefix: str, wanted: list[Wanted]) -> list[Account]:
    """New accounts on pro, whose own limits are few, with their allowances."""
    accounts: list[Account] = []
    users, tokens, allowances = [], [], []
    for one in wanted:
        for _ in range(one.count):
            user_id, secret = uuid7(), credentials.new_secret()
            email = f"{prefix}-{len(accounts)}@example.com"
            accounts.append(Account(email, secret, one.limit, one.most, one.address))
            users.append((user_id, email))
            shown = (credentials.lookup_prefix(secret), secret[-4:], credentials.digest(secret))
            tokens.append((uuid7(), user_id, *shown))
            if one.limit != ROOMY:
                allowances.append((user_id, one.limit, one.most))
            if one.limit != "concurrent_requests":
                allowances.append((user_id, "concurrent_requests", 1_000))
    with psycopg.connect(dsn) as connection, connection.cursor() as cursor:
        cursor.executemany(_USER, users)
        cursor.executemany(_TIER, [(user_id,) for user_id, _ in users])
        cursor.executemany(_TOKEN, tokens)
        cursor.executemany(_ALLOWANCE, allowances)
    return accounts


def wave(dsn: str, prefix: str, number: int) -> list[Account]:
    """Accounts whose limits a load reaches within seconds, one limit each."""
    by_minute, by_hour, crowded = (_address(f"{prefix} {number} {kind}") for kind in range(3))
    return make_accounts(
        dsn,
        f"{prefix}-{number}",
        [
            Wanted(1, "requests_per_hour", 15),
            Wanted(1, "requests_per_day", 15),
            Wanted(1, "tokens_per_day", 1_500),
            Wanted(1, "concurrent_requests", 2),
            Wanted(1, "requests_per_session", 15),
            Wanted(2, "address_requests_per_minute", 10, by_minute),
            Wanted(2, "address_requests_per_hour", 15, by_hour),
            Wanted(6, "address_accounts_per_hour", 3, crowded),
        ],
    )


def _address(name: str) -> str:
    """A network address for whatever is named so, and for nothing else."""
    return str(ip_address(int(ip_address("10.0.0.0")) + zlib.crc32(name.encode()) % 2**24))
