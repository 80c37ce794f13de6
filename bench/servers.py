"""Start what is measured, with the web process on one core and everything else on another."""

import functools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench.cpu import pin, pin_family
from bench.load import Target
from bench.measure import Server
from bench.product import Product
from tests.upstream.double import UpstreamDouble

# Enough pro accounts that none meets its concurrency limit of 20.
ACCOUNTS: Final = 8
MODEL: Final = "scalix-free"
TRANSLATED: Final = "translated"
_ANTHROPIC_VARIABLE: Final = "BENCH_ANTHROPIC_URL"


@functools.cache  # once this process is pinned it may use one core only
def cores() -> tuple[int, int]:
    """The core of the web process, and that of the rest. Raises RuntimeError on one core."""
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        raise RuntimeError("The benchmark needs two cores: one of them is the web process's.")
    return usable[0], usable[1]


@contextmanager
def running_product(
    double: UpstreamDouble, anthropic: str, var: Path
) -> Iterator[tuple[Server, Server, Product]]:
    """The product with one web process and everything switched on, as `make run` starts it.

    It is two servers to measure: a model that is passed through, and one that is translated.
    """
    web_core, other_core = cores()
    settings = {_ANTHROPIC_VARIABLE: anthropic}
    with Product(var, upstream=double.base_url, settings=settings) as product:
        _add_translated(product, var)
        emails = [f"bench-{number}@example.com" for number in range(ACCOUNTS)]
        tokens = product.issue_tokens(emails, "pro")
        pin_family(product.state().supervisor.pid, other_core)
        web = product.pids("web")
        for pid in web:
            pin(pid, web_core)
        [postgres], [valkey] = product.pids("postgres"), product.pids("valkey")
        passed, translated = (
            Server(
                name=name,
                target=Target(product.base_url, model, tokens),
                web=web,
                beside={"Postgres": postgres, "Valkey": valkey},
            )
            for name, model in (("product", MODEL), ("translated", TRANSLATED))
        )
        yield passed, translated, product


def _add_translated(product: Product, var: Path) -> None:
    """A public model at a provider that speaks Anthropic's wire."""
    parameters = {"model": "anthropic/claude-sonnet-5-5", "api_base": f"${{{_ANTHROPIC_VARIABLE}}}"}
    path = var / "translated.yaml"
    entry = {"model_name": TRANSLATED, "litellm_params": parameters}
    path.write_text(json.dumps({"model_list": [entry]}), encoding="utf-8")  # JSON is YAML
    product.manage("sync_models", str(path))


@contextmanager
def running_passthrough(double: UpstreamDouble) -> Iterator[Server]:
    """The yardstick: see `passthrough`."""
    with _running("bench.passthrough", double.base_url, core=cores()[0]) as (base_url, pid):
        yield Server("pass-through", Target(base_url, "double-small", ["none"]), [pid])


@contextmanager
def running_anthropic() -> Iterator[str]:
    """The address of the upstream on Anthropic's wire, on the core of the rest."""
    with _running("bench.anthropic_upstream", core=cores()[1]) as (base_url, _):
        yield base_url


@contextmanager
def _running(module: str, *arguments: str, core: int) -> Iterator[tuple[str, int]]:
    """A server of ours on this core: its base URL and its process."""
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        base_url = json.loads(process.stdout.readline())["base_url"]
        pin(process.pid, core)
        yield base_url, process.pid
    finally:
        process.terminate()
        process.wait(timeout=10)


@contextmanager
def running_double() -> Iterator[UpstreamDouble]:
    """The upstream, on the core of the rest, with this process beside it."""
    _, other_core = cores()
    pin(os.getpid(), other_core)
    with UpstreamDouble() as double:
        pin(double.process.pid, other_core)
        yield double


@contextmanager
def state_folder() -> Iterator[Path]:
    """A folder for the product's state that is gone afterwards, on a disk that really syncs."""
    # /tmp may be memory, where a commit costs nothing; var/ is where the product keeps its own.
    parent = Path(__file__).resolve().parents[1] / "var"
    parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=parent) as folder:
        yield Path(folder)
