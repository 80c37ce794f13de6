"""Every official SDK over every provider's stand-in: `table.py` has the rows."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any, Final

import httpx
import pytest

from tests.conformance.conftest import running_sdk
from tests.conformance.sdk import Sdk
from tests.conformance.table import PROVIDERS, ROWS, SDKS, ask, wrong_in
from tests.gateway_server import GatewayServer
from tests.providers.standin import StandIn, listening

_MODEL: Final = """
INSERT INTO gateway_publicmodel (name, title, description, tier, context_window, max_output_tokens,
       balancing, cache_seconds, enabled, created_at)
SELECT %(name)s, %(name)s, '', tier, 32768, 8192, balancing, 0, true, now()
  FROM gateway_publicmodel WHERE name = 'scalix-free'
"""
_DEPLOYMENT: Final = """
INSERT INTO gateway_deployment (name, provider, upstream_model, upstream_model_variable, base_url,
       base_url_variable, api_key_variable, api_key_optional, takes_tools, takes_images,
       takes_audio, takes_json_schemas, enabled)
VALUES (%(name)s, %(provider)s, %(model)s, '', '', %(variable)s, 'UPSTREAM_API_KEY', false, true,
       true, true, true, true)
"""
_PLACEMENT: Final = """
INSERT INTO gateway_placement (model_id, deployment_id, priority, weight, tier)
SELECT model.id, deployment.id, 1, 1, 'free'
  FROM gateway_publicmodel model JOIN gateway_deployment deployment USING (name)
 WHERE name = %(name)s
"""


def _variable(name: str) -> str:
    return f"STANDIN_{name.upper().replace('-', '_')}_BASE_URL"


@pytest.fixture(scope="module")
def stand_ins() -> Iterator[dict[str, StandIn]]:
    """All providers, in a thread of their own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    stack = AsyncExitStack()

    async def start() -> dict[str, StandIn]:
        return {
            name: await stack.enter_async_context(listening(wire))
            for name, wire in PROVIDERS.items()
        }

    yield asyncio.run_coroutine_threadsafe(start(), loop).result()
    asyncio.run_coroutine_threadsafe(stack.aclose(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture(scope="module")
def product(
    tmp_path_factory: pytest.TempPathFactory, stand_ins: dict[str, StandIn]
) -> Iterator[GatewayServer]:
    """A product with a public model for each provider."""
    settings = {_variable(name): one.base_url for name, one in stand_ins.items()}
    with GatewayServer(
        tmp_path_factory.mktemp("table"), web_processes=1, settings=settings
    ) as server:
        for name, wire in PROVIDERS.items():
            values: dict[str, Any] = {"name": f"over-{name}", "variable": _variable(name)}
            values |= {"provider": wire.provider, "model": wire.model}
            for statement in (_MODEL, _DEPLOYMENT, _PLACEMENT):
                server.sql(statement, values)
        yield server


@pytest.fixture(scope="module", params=SDKS)
def sdk(request: pytest.FixtureRequest, product: GatewayServer) -> Iterator[tuple[str, Sdk]]:
    """An SDK's name and process, once the product has all models."""
    with running_sdk(request.param) as sdk:
        yield request.param, sdk


@pytest.mark.parametrize("provider", PROVIDERS)
def test_an_sdk_over_a_provider(
    sdk: tuple[str, Sdk], provider: str, product: GatewayServer, stand_ins: dict[str, StandIn]
) -> None:
    version, process = sdk
    stand_in, wrong = stand_ins[provider], {}
    base_url = product.base_url + ("" if "anthropic" in version else "/v1")
    where = {"base_url": base_url, "token": product.issue_token("pro")}
    _await_model(product, f"over-{provider}", where["token"])
    for name, row in ROWS.items():
        stand_in.script = row.script
        stand_in.asked.clear()
        seen = ask(process, version, row, f"over-{provider}", **where)
        if seen is None:
            continue
        if complaint := wrong_in(row, seen):
            wrong[name] = complaint | {"seen": seen}
        if row.reached not in json.dumps(stand_in.asked):
            wrong[f"{name}, as sent"] = {"asked": stand_in.asked.copy()}
    assert wrong == {}


def _await_model(product: GatewayServer, model: str, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    address = f"{product.base_url}/v1/models/{model}"
    product.product.wait_until(
        lambda: httpx.get(address, headers=headers).status_code == 200, f"{model} is served"
    )
