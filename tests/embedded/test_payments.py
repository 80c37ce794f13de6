"""The payment sandbox as a part: what a start finds of the one before."""

import json
import os
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from scalix.embedded.parts import Product, stages
from scalix.embedded.paths import EmbeddedPaths
from scalix.embedded.port import payments_port

PROJECT = Path(__file__).resolve().parents[2]
KEY = "sk_test_sandbox"


@pytest.fixture
def product(paths: EmbeddedPaths) -> Product:
    paths.sandbox_key.write_text(KEY)
    paths.sandbox_secret.write_text("whsec_sandbox")
    return Product(
        paths=paths,
        postgres=False,
        valkey=False,
        demo_model_port=None,
        demo_model_folders=(),
        payments_port=payments_port(paths.var),
        port=9,
        listener=5,
        web_processes=1,
    )


@contextmanager
def started(product: Product, environment: Mapping[str, str] | None = None) -> Iterator[int | None]:
    """The part, running; its exit status where it ended before it was ready."""
    (part,) = stages(product)[0]
    ready, says = os.pipe()
    with subprocess.Popen(
        [*part.command(), "--ready-fd", str(says)],
        cwd=PROJECT,
        env={**os.environ, **part.environment, **(environment or {})},
        pass_fds=(says,),
        stderr=subprocess.PIPE,
    ) as process:
        os.close(says)
        said = os.read(ready, 16)
        os.close(ready)
        yield None if said else process.wait()
        process.terminate()


def call(product: Product, path: str, body: bytes | None = None) -> dict[str, Any]:
    request = urllib.request.Request(
        f"{product.stripe_url}/v1/{path}", data=body, headers={"Authorization": f"Bearer {KEY}"}
    )
    with urllib.request.urlopen(request) as answer:
        found: dict[str, Any] = json.loads(answer.read())
        return found


def test_what_was_bought_is_there_after_a_restart(product: Product) -> None:
    with started(product) as ended:
        assert ended is None
        made = call(product, "customers", b"email=alice%40example.com")
    with started(product):
        assert call(product, f"customers/{made['id']}")["email"] == "alice@example.com"


def test_its_state_is_for_its_owner_alone(product: Product) -> None:
    with started(product):
        folder = product.paths.sandbox_state.parent
        assert folder.stat().st_mode & 0o777 == 0o700
        assert product.paths.sandbox_state.exists()


@pytest.mark.parametrize("key", ["sk_live_1", "rk_live_1"])
def test_it_does_not_start_where_the_environment_holds_a_live_key(
    product: Product, key: str
) -> None:
    with started(product, {"STRIPE_SECRET_KEY": key}) as ended:
        assert ended == 2
    assert not product.paths.sandbox_state.exists()
