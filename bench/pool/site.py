"""The product with a public model whose deployments are simulated providers."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from bench.pool.providers import SimulatedProvider, listening
from bench.product import Product

MODEL: Final = "pooled"


@asynccontextmanager
async def running_site(
    var: Path, providers: list[SimulatedProvider], *, balanced: bool
) -> AsyncIterator[Product]:
    """The running product; `pooled` asks the providers in their order, or all alike if `balanced`.

    What each provider allows is what its deployment is said to allow.
    """
    async with listening(providers) as addresses:
        product = await asyncio.to_thread(_start, var, addresses)
        try:
            await asyncio.to_thread(_serve, product, var, providers, balanced=balanced)
            yield product
        finally:
            await asyncio.to_thread(product.stop)


def _start(var: Path, addresses: dict[str, str]) -> Product:
    variables = {_variable(name): address for name, address in addresses.items()}
    variables["TRUSTED_PROXIES"] = "127.0.0.1"
    nowhere = "http://127.0.0.1:9/v1"
    return Product(var, upstream=nowhere, web_processes=2, settings=variables)


def _serve(
    product: Product, var: Path, providers: list[SimulatedProvider], *, balanced: bool
) -> None:
    """Puts the pool into the catalogue."""
    entries = []
    for number, one in enumerate(providers, start=1):
        parameters: dict[str, Any] = {
            "model": f"openai/{one.name}",
            "api_base": f"${{{_variable(one.name)}}}",
            "metadata": {"free_tier": True, "priority": 1 if balanced else number},
        }
        if one.requests_per_minute is not None:
            parameters["rpm"] = one.requests_per_minute
        entries.append({"model_name": MODEL, "litellm_params": parameters})
    path = var / "pool.yaml"
    path.write_text(json.dumps({"model_list": entries}), encoding="utf-8")  # JSON is YAML
    product.manage("sync_models", str(path))
    product.await_ready()


def _variable(name: str) -> str:
    return f"SIM_{name.upper().replace('-', '_')}_URL"
