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


@functools.cache  # once this process is pinned it may use one core only
def cores() -> tuple[int, int]:
    """The core of the web process, and that of the rest. Raises RuntimeError on one core."""
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        raise RuntimeError("The benchmark needs two cores: one of them is the web process's.")
    return usable[0], usable[1]


@contextmanager
def running_product(double: UpstreamDouble, var: Path) -> Iterator[tuple[Server, Product]]:
    """The product with one web process and everything switched on, as `make run` starts it."""
    web_core, other_core = cores()
    with Product(var, upstream=double.base_url) as product:
        emails = [f"bench-{number}@example.com" for number in range(ACCOUNTS)]
        tokens = product.issue_tokens(emails, "pro")
        pin_family(product.state().supervisor.pid, other_core)
        web = product.pids("web")
        for pid in web:
            pin(pid, web_core)
        [postgres], [valkey] = product.pids("postgres"), product.pids("valkey")
        yield (
            Server(
                name="product",
                target=Target(product.base_url, MODEL, tokens),
                web=web,
                beside={"Postgres": postgres, "Valkey": valkey},
            ),
            product,
        )


@contextmanager
def running_passthrough(double: UpstreamDouble) -> Iterator[Server]:
    """The yardstick: see `passthrough`."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.passthrough", double.base_url],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        base_url = json.loads(process.stdout.readline())["base_url"]
        pin(process.pid, cores()[0])
        yield Server("pass-through", Target(base_url, "double-small", ["none"]), [process.pid])
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
