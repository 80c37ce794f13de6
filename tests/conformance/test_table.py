"""Every official SDK over every provider's stand-in: `table.py` has the rows."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest

from tests.conformance.conftest import running_sdk
from tests.conformance.sdk import Sdk
from tests.conformance.table import PROVIDERS, ROWS, SDKS, ask, wrong_in
from tests.gateway_server import GatewayServer
from tests.providers.standin import StandIn, listening


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
        _serve_all(server, tmp_path_factory.mktemp("models") / "models.yaml")
        yield server


@pytest.fixture(scope="module", params=SDKS)
def sdk(request: pytest.FixtureRequest, product: GatewayServer) -> Iterator[tuple[str, Sdk, str]]:
    """An SDK's name and process, and a token for it."""
    with running_sdk(request.param) as sdk:
        yield request.param, sdk, product.issue_token("pro")


@pytest.mark.parametrize("provider", PROVIDERS)
def test_an_sdk_over_a_provider(
    sdk: tuple[str, Sdk, str], provider: str, product: GatewayServer, stand_ins: dict[str, StandIn]
) -> None:
    version, process, token = sdk
    stand_in, wrong = stand_ins[provider], {}
    base_url = product.base_url + ("" if "anthropic" in version else "/v1")
    where = {"base_url": base_url, "token": token}
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


def _serve_all(server: GatewayServer, path: Path) -> None:
    """Puts a public model for each provider into the catalogue, and waits until all are served."""
    models = {f"over-{name}": (name, wire) for name, wire in PROVIDERS.items()}
    entries = [
        {
            "model_name": model,
            "litellm_params": {
                "model": f"{wire.provider}/{wire.model}",
                "api_base": f"${{{_variable(name)}}}",
                "api_key": "${UPSTREAM_API_KEY}",
            },
        }
        for model, (name, wire) in models.items()
    ]
    path.write_text(json.dumps({"model_list": entries}), encoding="utf-8")  # JSON is YAML
    server.product.manage("sync_models", str(path))
    headers = {"Authorization": f"Bearer {server.issue_token('pro')}"}
    with httpx.Client(base_url=server.base_url, headers=headers) as client:
        server.product.wait_until(
            lambda: {one["id"] for one in client.get("/v1/models").json()["data"]} >= set(models),
            "all models are served",
        )
