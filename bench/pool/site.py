"""The product with a public model whose deployments are simulated providers."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench.pool.providers import SimulatedProvider
from bench.product import Product

MODEL: Final = "pooled"


@contextmanager
def running_site(
    var: Path, providers: list[SimulatedProvider], addresses: dict[str, str], *, balanced: bool
) -> Iterator[Product]:
    """The running product; `pooled` asks the providers in their order, or all alike if `balanced`.

    What each provider allows is what its deployment is said to allow.
    """
    variables = {_variable(name): address for name, address in addresses.items()}
    variables["TRUSTED_PROXIES"] = "127.0.0.1"
    nowhere = "http://127.0.0.1:9/v1"
    with Product(var, upstream=nowhere, web_processes=2, settings=variables) as product:
        config = {
            "model_list": [
                {
                    "model_name": MODEL,
                    "litellm_params": {
                        "model": f"openai/{one.name}",
                        "api_base": f"${{{_variable(one.name)}}}",
                        **(
                            {}
                            if one.requests_per_minute is None
                            else {"rpm": one.requests_per_minute}
                        ),
                        "metadata": {"free_tier": True, "priority": 1 if balanced else number},
                    },
                }
                for number, one in enumerate(providers, start=1)
            ]
        }
        path = var / "pool.yaml"
        path.write_text(json.dumps(config), encoding="utf-8")  # JSON is YAML
        product.manage("sync_models", str(path))
        yield product


def _variable(name: str) -> str:
    return f"SIM_{name.upper().replace('-', '_')}_URL"
