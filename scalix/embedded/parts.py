"""The product's parts, in the order in which they start."""

import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scalix.embedded.demo_model import installed_model
from scalix.embedded.part import Part, Stage, Step
from scalix.embedded.paths import EmbeddedPaths
from scalix.embedded.postgres import postgres_part
from scalix.embedded.valkey import valkey_part

_PYTHON = (sys.executable, "-m")
_TASKS_AT_ONCE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """What is to run, decided by the settings."""

    paths: EmbeddedPaths
    postgres: bool
    valkey: bool
    demo_model_port: int | None
    """None: real providers answer."""
    demo_model_folders: Sequence[Path]
    """Where to look for the demo model, the first one first."""
    payments_port: int | None
    """None: Stripe itself takes the payments, or nobody does."""
    port: int
    listener: int
    """The descriptor of the socket that listens on `port`."""
    web_processes: int

    @property
    def address(self) -> str:
        """Where a browser on this machine finds it."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def demo_model_url(self) -> str:
        """The demo model's base URL, or the empty string."""
        return f"http://127.0.0.1:{self.demo_model_port}/v1" if self.demo_model_port else ""

    @property
    def stripe_url(self) -> str:
        """The payment sandbox's address, or the empty string."""
        return f"http://127.0.0.1:{self.payments_port}" if self.payments_port else ""

    @property
    def environment(self) -> dict[str, str]:
        """What our own processes learn from their supervisor, beside its own environment."""
        environment = {"PORT": str(self.port), "PYTHONUNBUFFERED": "1"}
        if self.demo_model_url:
            environment["DEMO_MODEL_URL"] = self.demo_model_url
        if self.stripe_url:
            environment["STRIPE_API_BASE"] = self.stripe_url
        return environment


def stages(product: Product) -> list[Stage]:
    """The servers, then the database's content, then the web, then what works in its shadow."""
    servers: list[Part] = []
    if product.postgres:
        servers.append(postgres_part(product.paths))
    if product.valkey:
        servers.append(valkey_part(product.paths))
    if product.demo_model_port is not None:
        servers.append(_demo_model(product, product.demo_model_port))
    if product.payments_port is not None:
        servers.append(_payments(product, product.payments_port))
    web = [_web(product, number + 1) for number in range(product.web_processes)]
    return [servers, [_database(product)], web, [_worker(product), _beat(product)]]


def _demo_model(product: Product, port: int) -> Part:
    def command() -> Sequence[str]:
        model = installed_model(product.demo_model_folders)
        options = ("--port", str(port), "--model", str(model))
        return [*_PYTHON, "scalix.embedded.demo_model", *options]

    return Part(name="demo-model", command=command)


def _payments(product: Product, port: int) -> Part:
    paths = product.paths
    options = ("--port", str(port), "--state", str(paths.sandbox_state))
    secrets = ("--key-file", str(paths.sandbox_key), "--secret-file", str(paths.sandbox_secret))
    webhook = ("--webhook", f"{product.address}/billing/webhook/")
    return Part(
        name="payments",
        command=lambda: [*_PYTHON, "billing.sandbox", *options, *secrets, *webhook],
    )


def _database(product: Product) -> Step:
    staff = ["--staff-password-file", str(product.paths.admin_password)]
    return Step(
        name="database",
        command=[
            *_PYTHON,
            "scalix.embedded.database_content",
            *(staff if product.postgres else ()),
        ],
        environment=product.environment,
    )


def _web(product: Product, number: int) -> Part:
    return Part(
        name=f"web-{number}",
        command=lambda: [*_PYTHON, "scalix.embedded.web", "--fd", str(product.listener)],
        environment=product.environment,
        inherited_fds=(product.listener,),
        grace_seconds=15,
    )


def _worker(product: Product) -> Part:
    # Threads: the tasks wait for the network and the database, and a process for each would hold
    # another copy of the application. Nobody to gossip with: there is one worker.
    options = ["--pool", "threads", "--concurrency", str(_TASKS_AT_ONCE)]
    quiet = ["--without-gossip", "--without-mingle", "--loglevel", "WARNING"]
    return _celery(product, "worker", [*options, *quiet])


def _beat(product: Product) -> Part:
    return _celery(product, "beat", ["--loglevel", "WARNING", "--pidfile="])


def _celery(product: Product, name: str, options: list[str]) -> Part:
    return Part(
        name=name,
        command=lambda: [*_PYTHON, "scalix.embedded.celery_process", name, *options],
        environment=product.environment,
        stop_signal=signal.SIGTERM,  # celery's warm shutdown: tasks in progress are finished
    )
