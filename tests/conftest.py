"""What all tests stand on: servers of their own, the settings that lead to them, and the cast.

Every pytest process, each xdist worker included, has a Postgres and a Valkey to itself, started
when a test first needs one.  So a test may empty them, or kill them.
"""

import datetime as dt
import importlib
import os
import secrets
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import django
import pytest
import redis
from asgiref.sync import sync_to_async
from django.apps import apps
from django.core.management import call_command
from django.db import connections
from django.db.models.signals import post_migrate
from dotenv import dotenv_values
from pytest_django import Settings

from tests.clock import Clock
from tests.gateway_server import GatewayServer
from tests.servers import PrivateServers
from tests.stripe_sandbox import StripeSandbox
from tests.upstream.double import UpstreamDouble

SERVERS = PrivateServers()


def _prepare_environment() -> None:
    """Before Django reads its settings, which pyproject.toml therefore must not name."""
    root = Path(__file__).resolve().parent.parent
    for name in {*os.environ, *dotenv_values(root / ".env")}:
        if name.endswith(("_API_KEY", "_BASE_URL", "_API_BASE")) or name.startswith("STRIPE_"):
            os.environ[name] = ""  # a developer's own providers: no test may spend their money
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "scalix.settings",
        "DATABASE_URL": SERVERS.database_url,
        "REDIS_URL": SERVERS.redis_url,
        "SCALIX_VAR": str(SERVERS.paths.var),
        "SECRET_KEY": secrets.token_urlsafe(48),
        "PUBLIC_URL": "http://testserver",
        "EMAIL_URL": "console:",
        "EMAIL_VERIFICATION": "optional",
        "STRIPE_SECRET_KEY": "sk_test_of_the_tests",
        "STRIPE_WEBHOOK_SECRET": "whsec_of_the_tests",
        "PROVIDER_PRIVATE_HOSTS": "localhost",  # where the providers of tests are
        "STRIPE_API_BASE": "http://127.0.0.1:9",  # nobody's: who needs a Stripe starts one
    }


_prepare_environment()
django.setup()  # here and not in pytest-django, so that a folder's conftest may import models

from accounts.identifiers import uuid7  # noqa: E402
from accounts.models import ApiToken, User  # noqa: E402
from accounts.postgres import ReadPool  # noqa: E402
from billing.metering.ledger import LedgerWriter  # noqa: E402
from billing.metering.quota import Quota  # noqa: E402
from billing.metering.redis_store import RedisStore  # noqa: E402
from billing.metering.sums import LedgerSums  # noqa: E402
from billing.models import Subscription, Tier  # noqa: E402
from billing.payments.stripe_api import worker_api  # noqa: E402
from billing.payments.sync import sync  # noqa: E402
from gateway import runtime  # noqa: E402
from gateway.runtime import Gateway  # noqa: E402


def pytest_configure() -> None:
    """Before xdist starts its workers: one that inherited it would read our settings, not its own.

    Here, since what a folder's conftest imports may have set it again.
    """
    os.environ.pop("DJANGO_SETTINGS_MODULE", None)


# Servers and stores -------------------------------------------------------------------------


@pytest.fixture(scope="session")
def servers() -> Iterator[PrivateServers]:
    """The running servers.  Whoever kills one starts it again before the test ends."""
    SERVERS.start()
    yield SERVERS
    SERVERS.stop()


@pytest.fixture(scope="session")
def django_db_modify_db_settings(servers: PrivateServers) -> None:
    """Before pytest-django makes the test database: there has to be a server."""
    post_migrate.connect(_insert_plans, sender=apps.get_app_config("billing"))


@pytest.fixture(scope="session")
def django_db_keepdb() -> bool:
    """It goes away with its server; dropping it would wait for every connection to close."""
    return True


def _insert_plans(sender: Any, **_: object) -> None:
    """Puts the plans back after a transactional test was flushed; migrations don't run again."""
    first, grown = map(
        importlib.import_module,
        ("billing.migrations.0001_initial", "billing.migrations.0006_metering_grown"),
    )
    if not sender.get_model("Plan").objects.exists():
        first.insert_plans(apps, None)
        grown.change_plans(apps, None)


@pytest.fixture(scope="session")
def redis_url(servers: PrivateServers) -> str:
    """The address of this process's own Valkey."""
    return servers.redis_url


@pytest.fixture
def flush(redis_url: str) -> Iterator["redis.Redis"]:
    """An empty counter store, and a plain client to it."""
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
        yield client


@pytest.fixture
def one_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock of the pages' limits stands still, so that none begins to count anew."""
    monkeypatch.setattr("django_ratelimit.core.time", SimpleNamespace(time=Clock()))


@pytest.fixture
async def reads(transactional_db: None) -> AsyncIterator[ReadPool]:
    """The request path's connections, to the test database.  It sees what is committed."""
    pool = ReadPool()
    await pool.open()
    yield pool
    await pool.close()


# Metering -----------------------------------------------------------------------------------


@pytest.fixture
def within_the_hour() -> None:
    """Doesn't begin in the last seconds of a UTC hour, whose end would empty the counters."""
    while 3600 - time.time() % 3600 < 30:
        time.sleep(0.1)


@pytest.fixture
def within_the_minute() -> None:
    """Doesn't begin in the last seconds of a minute, whose end would empty its counters."""
    while 60 - time.time() % 60 < 8:
        time.sleep(0.1)


@pytest.fixture
async def quota(
    redis_url: str, flush: "redis.Redis", reads: ReadPool, within_the_hour: None
) -> AsyncIterator[Quota]:
    """Admission over an empty store and the test database's ledger, on the real clock."""
    store = RedisStore(redis_url)
    yield Quota(store, process_id=uuid7(), ledger=LedgerSums(reads))
    await store.close()


@pytest.fixture
async def ledger(transactional_db: None) -> AsyncIterator[LedgerWriter]:
    """A started writer to the test database's ledger."""
    writer = LedgerWriter()
    await writer.start()
    yield writer
    await writer.stop()


# The whole request path ---------------------------------------------------------------------


@pytest.fixture(scope="session")
def running_upstream() -> Iterator[UpstreamDouble]:
    """A double for the whole session: tests take `upstream`."""
    with UpstreamDouble() as double:
        yield double


@pytest.fixture
def upstream(running_upstream: UpstreamDouble) -> UpstreamDouble:
    """The upstream of `gateway`, with nothing in its log and no script."""
    running_upstream.reset()
    return running_upstream


@pytest.fixture
async def gateway(
    upstream: UpstreamDouble,
    flush: "redis.Redis",
    transactional_db: None,
    settings: Settings,
    within_the_hour: None,
) -> AsyncIterator[Gateway]:
    """The request path in this process: starting catalogue, `upstream` as the only provider."""
    settings.PROVIDER_VARIABLES = {
        "UPSTREAM_BASE_URL": upstream.base_url,
        "UPSTREAM_API_KEY": "sk-double",
        "UPSTREAM_MODEL": "double-small",
    }
    # Threads keep their connections from one test to the next, and some tests kill connections.
    await sync_to_async(connections.close_all)()
    await sync_to_async(call_command)("seed_catalogue", verbosity=0)
    async with runtime.running() as gateway:
        yield gateway


@pytest.fixture(scope="session")
def gateway_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayServer]:
    """A product that runs on loopback, two web processes and all."""
    with GatewayServer(tmp_path_factory.mktemp("server")) as server:
        yield server


# Payments -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def running_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StripeSandbox]:
    """A Stripe for a module's tests, each of which has customers of its own."""
    with StripeSandbox(tmp_path_factory.mktemp("stripe")) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running_sandbox: StripeSandbox, db: None, settings: Settings) -> StripeSandbox:
    """The Stripe that the product is configured with, with everything for sale in it."""
    settings.STRIPE_API_BASE = running_sandbox.base
    sync(worker_api())
    return running_sandbox


# The cast -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Person:
    """A user with a token."""

    user: User
    secret: str

    @property
    def account_id(self) -> uuid.UUID:
        """Under which the person's requests are counted."""
        return self.user.id

    @property
    def headers(self) -> dict[str, str]:
        """What the person's programs send."""
        return {"Authorization": f"Bearer {self.secret}"}


def _person(name: str, **fields: Any) -> Person:
    user = User.objects.create_user(f"{name}@example.com", "correct horse battery", **fields)
    _, secret = ApiToken.objects.issue(user=user, name=f"{name}'s laptop")
    return Person(user, secret)


@pytest.fixture
def alice(db: None) -> Person:
    """Alice pays: she is on pro."""
    person = _person("alice")
    Subscription.objects.create(user=person.user, tier=Tier.PRO, source=Subscription.Source.STRIPE)
    return person


@pytest.fixture
def bob(db: None) -> Person:
    """Bob is on the free plan, which takes no subscription."""
    return _person("bob")


@pytest.fixture
def charlie(db: None) -> Person:
    """Charlie is suspended."""
    return _person("charlie", is_active=False)


@pytest.fixture
def now_is_now(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sets the module's NOW: since it was imported an hour may have ended, or a day.

    A test that the end of an hour would cut in two begins after it.
    """
    while (now := dt.datetime.now(dt.UTC)).minute == 59 and now.second > 54:
        time.sleep(0.1)
    monkeypatch.setattr(request.module, "NOW", now)
