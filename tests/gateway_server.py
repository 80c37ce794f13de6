"""A whole product on loopback, as `manage.py up` runs it, with the double as its only provider."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import httpx
import psycopg
import redis

from accounts import credentials
from accounts.identifiers import uuid7
from bench.product import Product
from tests.upstream.double import UpstreamDouble

WEB_PROCESSES: Final = 2

_USER: Final = """
INSERT INTO accounts_user (id, email, password, is_active, is_staff, is_superuser, date_joined,
       preferred_models, avoided_models)
VALUES (%s, %s, '!', true, false, false, now(), '{}', '{}') ON CONFLICT (email) DO NOTHING
"""
_SUBSCRIPTION: Final = """
INSERT INTO billing_subscription (user_id, tier, source, created_at, updated_at)
SELECT id, %s, 'staff', now(), now() FROM accounts_user WHERE email = %s
ON CONFLICT (user_id, source) DO UPDATE SET tier = excluded.tier
"""
_TOKEN: Final = """
INSERT INTO accounts_apitoken (id, user_id, name, prefix, last_four, digest, created_at)
SELECT %s, id, 'test', %s, %s, %s, now() FROM accounts_user WHERE email = %s
"""

# All tests come from one address: its limits would be reached by whoever comes last.
_NO_ADDRESS_LIMITS: Final = """
UPDATE billing_plan SET address_requests_per_minute = NULL, address_requests_per_hour = NULL,
       address_accounts_per_hour = NULL
"""


class GatewayServer:
    """A running product: supervisor, web processes, worker, beat, Postgres and Valkey of its own.

    Everything here is synchronous, for tests with and without an event loop.  Use it as a context
    manager.  `upstream` is the double: script it, and read its log.  `settings` are environment
    variables of the product.
    """

    def __init__(
        self,
        var: Path,
        *,
        web_processes: int = WEB_PROCESSES,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.upstream = UpstreamDouble()
        # A client here may stand for many network addresses.
        self._settings = {"TRUSTED_PROXIES": "127.0.0.1/32", **(settings or {})}
        self._product = partial(
            Product, var, upstream=self.upstream.base_url, web_processes=web_processes
        )
        try:
            self.product = self._product(settings=self._settings)
        except BaseException:
            self.upstream.stop()
            raise
        self._numbers = itertools.count()
        self.sql(_NO_ADDRESS_LIMITS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.product.stop()
        self.upstream.stop()

    def start_again(self, **settings: str) -> None:
        """Starts the product once more on what it left, after `product.stop()`."""
        self._settings |= settings
        self.product = self._product(settings=self._settings)

    @property
    def base_url(self) -> str:
        """The site, without a path; OpenAI clients are given `base_url + "/v1"`."""
        return self.product.address

    def issue_token(self, tier: str = "free", email: str | None = None) -> str:
        """A new token of that user, or of a new one; `tier` is `free` or `pro`."""
        email = email or f"{tier}-{next(self._numbers)}@example.com"
        secret = credentials.new_secret()
        self.sql(_USER, (uuid7(), email))
        if tier != "free":
            self.sql(_SUBSCRIPTION, (tier, email))
        token = (uuid7(), credentials.lookup_prefix(secret), secret[-4:])
        self.sql(_TOKEN, (*token, credentials.digest(secret), email))
        return secret

    def web_pids(self) -> list[int]:
        """The web processes that run now."""
        return self.product.pids("web")

    def sql(
        self, query: str, parameters: Sequence[Any] | Mapping[str, Any] = ()
    ) -> list[tuple[Any, ...]]:
        """A committed statement's rows; none for one that gives no rows."""
        with psycopg.connect(self.product.dsn, autocommit=True) as connection:
            cursor = connection.execute(query, parameters)
            return cursor.fetchall() if cursor.description else []

    def stripe(self, path: str, **values: object) -> dict[str, Any]:
        """One of the payment sandbox's own calls: `pay`, `clock`, `deliveries`, …"""
        answer = httpx.post(
            f"{self.product.state().stripe_url}/sandbox/{path}",
            json=values,
            headers={"Authorization": f"Bearer {self.product.paths.sandbox_key.read_text()}"},
            timeout=10,
        )
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    @contextmanager
    def stripe_deliveries_held(self) -> Iterator[None]:
        """No webhook arrives; those that wait do so afterwards."""
        self.stripe("deliveries", mode="hold")
        yield
        self.stripe("deliveries", mode="ok")

    def flush_counters(self) -> None:
        """Empties the counter store, which changes no decision."""
        with redis.Redis.from_url(self.product.paths.valkey_url) as client:
            client.flushall()
