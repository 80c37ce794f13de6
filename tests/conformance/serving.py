"""What the table is made of: a product with a public model for each provider's stand-in."""

import asyncio
import datetime as dt
import json
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import httpx

from tests.conformance.sdk import Sdk
from tests.conformance.table import PROVIDERS, Row, ask, wrong_in
from tests.gateway_server import GatewayServer
from tests.providers.standin import StandIn, listening

# How long a provider may be silent: longer than a busy machine ever is.
_SILENCE: Final = "5"


class TableServer:
    """The running product and the stand-ins behind it."""

    def __init__(self, product: GatewayServer, stand_ins: dict[str, StandIn]) -> None:
        self.product = product
        self.stand_ins = stand_ins
        self._tokens = {tier: product.issue_token(tier) for tier in ("pro", "free")}
        self._spent: tuple[dt.datetime, str] | None = None

    def wrong_with(self, sdk: Sdk, version: str, row: Row, provider: str) -> Any:
        """What is wrong with a row, with what was seen; nothing if all is as it must be.

        None: the SDK has no such thing.
        """
        stand_in = self.stand_ins[provider]
        stand_in.script = row.script
        stand_in.asked.clear()
        while True:
            hour, tokens = _this_hour(), dict(self._tokens)
            if row.caller == "spent":
                tokens["spent"] = self._spent_token(hour)
            seen = ask(sdk, version, row, provider, tokens, self.product.base_url)
            if _this_hour() == hour:  # else there was as much again to be had, meanwhile
                break
        if seen is None:
            return None
        wrong = wrong_in(row, provider, seen)
        if row.reached not in json.dumps(stand_in.asked):
            wrong["reached"] = stand_in.asked.copy()
        return wrong and wrong | {"seen": seen}

    def _spent_token(self, hour: dt.datetime) -> str:
        """Of somebody who has had all that the free plan gives in this hour."""
        if self._spent is None or self._spent[0] != hour:
            token = self.product.issue_token("free")
            body = {"model": "scalix-free", "messages": [{"role": "user", "content": "Hello"}]}
            with httpx.Client(base_url=self.product.base_url) as client:
                client.headers["Authorization"] = f"Bearer {token}"
                while client.post("/v1/chat/completions", json=body).status_code == 200:
                    pass
            self._spent = hour, token
        return self._spent[1]


@contextmanager
def table_server(var: Path) -> Iterator[TableServer]:
    """Starts all of it, with its files under `var`."""
    with _stand_ins() as stand_ins:
        settings = {_variable(name): one.base_url for name, one in stand_ins.items()}
        settings["GATEWAY_SILENCE_SECONDS"] = _SILENCE
        with GatewayServer(var / "product", web_processes=1, settings=settings) as product:
            _serve_all(product, var / "models.yaml")
            yield TableServer(product, stand_ins)


@contextmanager
def _stand_ins() -> Iterator[dict[str, StandIn]]:
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

    async def stop() -> None:
        await stack.aclose()
        silent = asyncio.all_tasks() - {asyncio.current_task()}
        for task in silent:
            task.cancel()
        await asyncio.gather(*silent, return_exceptions=True)

    yield asyncio.run_coroutine_threadsafe(start(), loop).result()
    asyncio.run_coroutine_threadsafe(stop(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def _serve_all(server: GatewayServer, path: Path) -> None:
    """Puts each provider's public models into the catalogue, and waits until all are served."""
    entries = [
        entry
        for name, wire in PROVIDERS.items()
        for entry in (
            _entry(f"over-{name}", name, f"{wire.provider}/{wire.model}"),
            _entry(f"vectors-over-{name}", name, f"{wire.provider}/{wire.model}-vectors")
            | {"model_info": {"mode": "embedding"}},
        )
    ]
    path.write_text(json.dumps({"model_list": entries}), encoding="utf-8")  # JSON is YAML
    server.product.manage("sync_models", str(path))
    headers = {"Authorization": f"Bearer {server.issue_token('pro')}"}
    models = {one["model_name"] for one in entries}
    with httpx.Client(base_url=server.base_url, headers=headers) as client:
        server.product.wait_until(
            lambda: {one["id"] for one in client.get("/v1/models").json()["data"]} >= models,
            "all models are served",
        )


def _entry(model: str, provider: str, upstream: str) -> dict[str, Any]:
    return {
        "model_name": model,
        "litellm_params": {
            "model": upstream,
            "api_base": f"${{{_variable(provider)}}}",
            "api_key": "${UPSTREAM_API_KEY}",
        },
    }


def _variable(name: str) -> str:
    return f"STANDIN_{name.upper().replace('-', '_')}_BASE_URL"


def _this_hour() -> dt.datetime:
    return dt.datetime.now(dt.UTC).replace(minute=0, second=0, microsecond=0)
