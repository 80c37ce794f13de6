"""From the settings to a running product: the lock, the leftovers, the ports, the banner."""

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path

from scalix.embedded.database_content import STAFF_EMAIL
from scalix.embedded.errors import EmbeddedError
from scalix.embedded.folders import make_folders
from scalix.embedded.orphans import end_orphans
from scalix.embedded.output import Console, short
from scalix.embedded.part import Stage
from scalix.embedded.parts import Product, stages
from scalix.embedded.paths import EmbeddedPaths
from scalix.embedded.port import demo_model_port, listen_near, payments_port
from scalix.embedded.process_identity import ProcessIdentity
from scalix.embedded.state import SupervisorState, folder_lock
from scalix.embedded.supervisor import Supervisor


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """What the operator's settings ask for."""

    paths: EmbeddedPaths
    project: Path
    """The checkout, which holds `manage.py`."""
    postgres: bool
    valkey: bool
    demo_model: bool
    payments: bool
    """Whether a sandbox plays Stripe."""
    port: int
    """Where to begin looking for a free one."""
    web_processes: int


def launch(wanted: Launch) -> None:
    """Run everything until it is stopped.

    Raises EmbeddedError where that cannot be; AlreadyRunningError where it is so already.
    """
    paths = wanted.paths
    make_folders(paths)
    with folder_lock(paths):
        ended = end_orphans(paths)
        with listen_near(wanted.port) as listener:
            product = Product(
                paths=paths,
                postgres=wanted.postgres,
                valkey=wanted.valkey,
                demo_model_port=demo_model_port(paths.var) if wanted.demo_model else None,
                demo_model_folders=(paths.models, wanted.project / "var" / "models"),
                payments_port=payments_port(paths.var) if wanted.payments else None,
                port=listener.getsockname()[1],
                listener=listener.fileno(),
                web_processes=wanted.web_processes,
            )
            _supervise(wanted, product, ended)


def _supervise(wanted: Launch, product: Product, ended: list[str]) -> None:
    ordered = stages(product)
    console = Console(_names(ordered))
    console.say(f"starting in {short(wanted.paths.var)}")
    if ended:
        console.say(f"ended what an earlier start left running: {', '.join(ended)}")
    if product.port != wanted.port:
        console.say(f"port {wanted.port} is taken, using {product.port}")
    supervisor_identity = ProcessIdentity.of(os.getpid())
    if supervisor_identity is None:
        raise EmbeddedError("This system doesn't tell when a process began.")
    state = SupervisorState(
        supervisor=supervisor_identity,
        address=product.address,
        demo_model_url=product.demo_model_url,
        stripe_url=product.stripe_url,
    )

    async def supervise() -> None:
        supervisor = Supervisor(wanted.paths, ordered, console, state)
        await supervisor.run(lambda: console.banner(_banner(product)))

    asyncio.run(supervise())


def _names(ordered: list[Stage]) -> list[str]:
    return [item.name for stage in ordered for item in stage]


def _banner(product: Product) -> str:
    lines = [f"Scalix is at {product.address}"]
    if product.postgres:
        password = product.paths.admin_password
        where = f", password in {short(password)}" if password.exists() else ""
        lines.append(f"Admin: {product.address}/admin/ as {STAFF_EMAIL}{where}")
    if product.stripe_url:
        lines.append("Payments are a sandbox: no money moves.")
    lines.append("Ctrl-C stops everything.")
    return "\n".join(["", *(f"  {line}" for line in lines), ""])
