"""The API over HTTP, in this process: a server, a client, and what is left behind afterwards."""

import logging
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import httpx
import pytest
import redis
from asgiref.sync import sync_to_async
from django.db import connections
from pytest_django import Settings
from uvicorn.server import ServerState

from accounts.postgres import connect
from billing.metering.usage import Counters
from billing.models import LedgerEntry, Plan
from gateway.models import Deployment, Placement, PublicModel
from gateway.runtime import Gateway
from scalix.embedded.private_server import PrivateServer
from tests.api.server import serving
from tests.conftest import Person
from tests.metering.conftest import old_epochs
from tests.servers import PrivateServers, kill_at_once
from tests.upstream.double import UpstreamDouble
from tests.waiting import until

PATIENCE = 10.0

Row = dict[str, Any]
LedgerRows = Callable[[], Awaitable[list[Row]]]
CountersOf = Callable[[Person | uuid.UUID], Awaitable[Counters]]
Serve = Callable[..., Awaitable[None]]
Untouched = Callable[..., Awaitable[None]]
Kill = Callable[[str], Callable[[], None]]
SetPlan = Callable[..., Awaitable[None]]


@pytest.fixture(autouse=True)
def _quick_passwords(settings: Settings) -> None:
    """No test here logs in, and each person has a password that would be hashed with care."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def _no_error_is_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No test leaves a traceback in the log; one that means to clears it."""
    yield
    errors = [one for one in caplog.get_records("call") if one.levelno >= logging.ERROR]
    assert [one.getMessage() for one in errors] == []


@pytest.fixture
def old_store(flush: "redis.Redis") -> None:
    """Tells the empty counter store that it has been there for long.

    The first request of an account waits, in a store that has lost its memory just now, until what
    was booked before must be in the ledger.  It would do so in each test.
    """
    flush.mset(old_epochs())


@pytest.fixture
def server_state() -> ServerState:
    """The server's connections and running requests."""
    return ServerState()


@pytest.fixture
async def address(
    gateway: Gateway, old_store: None, server_state: ServerState
) -> AsyncIterator[str]:
    """Where the API is."""
    async with serving(server_state) as address:
        yield address


@pytest.fixture
async def client(address: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the API that sends no credential of its own."""
    async with httpx.AsyncClient(base_url=address, timeout=30) as client:
        yield client


@pytest.fixture
def ledger_rows() -> LedgerRows:
    """Reads all committed rows of the ledger, oldest first, on a connection of its own."""
    columns = [field.name for field in LedgerEntry._meta.get_fields()]
    query = f"SELECT {', '.join(columns)} FROM billing_ledgerentry ORDER BY id"

    async def read() -> list[Row]:
        connection = await connect(PATIENCE)
        try:
            cursor = await connection.execute(query)
            return [dict(zip(columns, row, strict=True)) for row in await cursor.fetchall()]
        finally:
            await connection.close()

    return read


@pytest.fixture
def counters(gateway: Gateway) -> CountersOf:
    """What an account has used of its limits, as every header and page says it."""

    async def read(account: Person | uuid.UUID) -> Counters:
        account_id = account.account_id if isinstance(account, Person) else account
        usage = await gateway.quota.peek(account_id, gateway.plans.limits_of("free"))
        return usage.counters

    return read


@pytest.fixture
def untouched(
    gateway: Gateway, upstream: UpstreamDouble, ledger_rows: LedgerRows, counters: CountersOf
) -> Untouched:
    """Asserts that nothing has been written, counted for these people, or said to the upstream."""

    async def check(*people: Person) -> None:
        await gateway.settlement.finish()
        assert await ledger_rows() == []
        assert upstream.received() == 0
        for person in people:
            used = await counters(person)
            assert (used.hour_requests, used.day_requests) == (0, 0)
            assert (used.day_tokens, used.in_flight) == (0, 0)

    return check


@pytest.fixture
def _orm_connects_anew(transactional_db: None) -> Iterator[None]:
    yield
    connections.close_all()


@pytest.fixture
async def kill(
    servers: PrivateServers, client: httpx.AsyncClient, _orm_connects_anew: None
) -> AsyncIterator[Kill]:
    """Kills a store; the value brings it back, which the end of the test does in any case."""
    async with await connect(PATIENCE) as connection:
        await connection.execute("CHECKPOINT")  # or its recovery goes over all tests so far
    dead: list[PrivateServer] = []

    def start_again() -> None:
        while dead:
            dead.pop().start()

    def kill_one(store: str) -> Callable[[], None]:
        server: PrivateServer = getattr(servers, store)
        kill_at_once(server)
        dead.append(server)
        return start_again

    yield kill_one
    start_again()
    await sync_to_async(connections.close_all)()  # async code has another one than this thread


@pytest.fixture
def serve(gateway: Gateway, upstream: UpstreamDouble) -> Serve:
    """Puts a public model and the deployments that serve it into the catalogue.

    Deployments are called at the upstream unless they name another `base_url`; each is tried after
    the one before it.
    """

    async def make(
        model: str = "tested",
        *,
        deployments: dict[str, dict[str, Any]] | None = None,
        **fields: Any,
    ) -> None:
        await sync_to_async(_serve)(upstream, model, deployments or {f"{model}-one": {}}, fields)
        await gateway.catalogue.refresh()

    return make


def _serve(
    upstream: UpstreamDouble,
    name: str,
    deployments: dict[str, dict[str, Any]],
    fields: dict[str, Any],
) -> None:
    defaults = {"title": name, "context_window": 32_768, "max_output_tokens": 8_192}
    model, _ = PublicModel.objects.update_or_create(name=name, defaults=defaults | fields)
    for priority, (deployment_name, overrides) in enumerate(deployments.items()):
        values = {"provider": "openai", "upstream_model": "double-large"} | overrides
        values.setdefault("base_url", upstream.base_url)
        place = {"priority": values.pop("priority", priority), "weight": values.pop("weight", 1)}
        deployment, _ = Deployment.objects.update_or_create(name=deployment_name, defaults=values)
        Placement.objects.update_or_create(model=model, deployment=deployment, defaults=place)


@pytest.fixture
def set_plan(gateway: Gateway) -> SetPlan:
    """Edits a plan as staff do, and waits until this process knows."""

    async def edit(tier: str, **limits: int | None) -> None:
        await Plan.objects.filter(tier=tier).aupdate(**limits)

        async def known() -> bool:
            plan = gateway.plans.limits_of(tier)
            return all(getattr(plan, name) == value for name, value in limits.items())

        await until(known)

    return edit
