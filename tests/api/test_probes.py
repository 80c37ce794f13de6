"""`/healthz` and `/readyz`: what a load balancer asks."""

import httpx
import pytest

from gateway.runtime import Gateway
from tests.api.conftest import Kill
from tests.servers import PrivateServers
from tests.waiting import until


async def test_a_process_that_runs_is_healthy(client: httpx.AsyncClient) -> None:
    response = await client.get("/healthz")

    assert (response.status_code, response.json()) == (200, {"status": "ok"})


async def test_with_both_stores_and_a_catalogue_it_is_ready(client: httpx.AsyncClient) -> None:
    response = await client.get("/readyz")

    assert response.status_code == 200
    assert response.json()["status"] == "ready"
    assert set(response.json()["checks"].values()) == {"ok"}


@pytest.mark.parametrize(("store", "check"), [("postgres", "postgres"), ("valkey", "redis")])
async def test_without_a_store_it_is_healthy_and_not_ready_and_tells_no_secret(
    client: httpx.AsyncClient, servers: PrivateServers, kill: Kill, store: str, check: str
) -> None:
    start_again = kill(store)

    response = await client.get("/readyz")

    assert response.status_code == 503
    assert response.json()["status"] == "not ready"
    assert response.json()["checks"][check] == "away"
    assert str(servers.paths.var) not in response.text
    assert (await client.get("/healthz")).status_code == 200
    start_again()

    async def ready() -> bool:
        return (await client.get("/readyz")).status_code == 200

    await until(ready)


async def test_without_any_model_it_is_not_ready(
    client: httpx.AsyncClient, gateway: Gateway
) -> None:
    gateway.catalogue._models = {}

    response = await client.get("/readyz")

    assert response.status_code == 503
    assert response.json()["checks"]["catalogue"] == "no model is known"
