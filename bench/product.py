"""A whole product of one's own: `manage.py up` in a state folder of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import httpx
from dotenv import dotenv_values

from scalix.embedded.leash import leashed
from scalix.embedded.paths import EmbeddedPaths
from scalix.embedded.state import SupervisorState, running_state

REPOSITORY: Final = Path(__file__).resolve().parents[1]
# How long a start, a stop or a restart may take before it counts as failed, in seconds.
PATIENCE: Final = 90.0


# What a process needs to run at all. Nothing else of the caller's environment may change the
# product, least of all a test session's own database.
_NEEDED: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR")


def _plain_environment() -> dict[str, str]:
    """The caller's environment without its settings, and with those of a `.env` emptied."""
    provider = ("_API_KEY", "_API_BASE", "_URL", "_MODEL")
    emptied = {
        name: ""
        for name in dotenv_values(REPOSITORY / ".env")
        if name.endswith(provider) or name.startswith("STRIPE_")
    }
    return emptied | {name: os.environ[name] for name in _NEEDED if name in os.environ}


class Product:
    """A running product with the given upstream as its only provider.

    Use it as a context manager, or `stop()` it. `settings` are further environment variables.
    """

    def __init__(
        self,
        var: Path,
        *,
        upstream: str,
        web_processes: int = 1,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.paths = EmbeddedPaths(var)
        self._environment = {
            **_plain_environment(),
            "SCALIX_VAR": str(var),
            "WEB_PROCESSES": str(web_processes),
            "UPSTREAM_BASE_URL": upstream,
            "UPSTREAM_API_KEY": "sk-double",
            "UPSTREAM_MODEL": "double-small",
            **(settings or {}),
        }
        var.mkdir(parents=True, exist_ok=True)
        self.output = var / "up.log"
        with self.output.open("wb") as output:
            # On a leash: it ends, with all its parts, even when this process is killed.
            command = [sys.executable, "manage.py", "up"]
            self._up = subprocess.Popen(
                leashed(command, death_signal=signal.SIGTERM),
                cwd=REPOSITORY,
                env=self._environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.address = self._await_address()
        self.await_ready()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def base_url(self) -> str:
        """What an OpenAI client is given."""
        return f"{self.address}/v1"

    @property
    def dsn(self) -> str:
        """Its database."""
        return self.paths.postgres_dsn

    def stop(self) -> None:
        """Stop it as Ctrl-C does, and wait until all of it has ended."""
        self._up.send_signal(signal.SIGINT)
        self._up.wait(timeout=PATIENCE)

    def state(self) -> SupervisorState:
        """What the supervisor says of itself. Raises RuntimeError when it has ended."""
        state = running_state(self.paths)
        if state is None:
            raise RuntimeError(f"The product has ended:\n{self.output.read_text()}")
        return state

    def pids(self, part: str) -> list[int]:
        """The processes of a part, such as `web` (numbered where there are several)."""
        return [
            process.identity.pid
            for process in self.state().processes
            if process.name.rstrip("-0123456789 ") == part
        ]

    def kill(self, pid: int) -> None:
        """End one process of it with kill -9, unless it has ended meanwhile."""
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    def await_ready(self) -> None:
        """Wait until /readyz says yes. Raises TimeoutError with the product's output."""
        self.wait_until(self.is_ready, "the product is ready")

    def is_ready(self) -> bool:
        """Whether /readyz says yes. Raises RuntimeError when the product has ended."""
        try:
            return httpx.get(f"{self.address}/readyz", timeout=2).status_code == 200
        except httpx.TransportError:
            self.state()  # raises if it is gone rather than not yet there
            return False

    def wait_until(
        self, condition: Callable[[], bool], what: str, patience: float = PATIENCE
    ) -> None:
        """Wait for a condition. Raises TimeoutError with what it was and the product's output."""
        deadline = time.monotonic() + patience
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"Not after {patience:g} s: {what}.\n{self.output.read_text()}")
            time.sleep(0.05)

    def issue_tokens(self, emails: Sequence[str], tier: str) -> list[str]:
        """A new token of each of these users, who are made and put on this tier if need be."""
        printed = subprocess.run(
            [sys.executable, "-m", "bench.issue_tokens", tier, *emails],
            cwd=REPOSITORY,
            env=self._environment,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout
        return [json.loads(line)["token"] for line in printed.splitlines()]

    def manage(self, *arguments: str) -> str:
        """What a management command prints, run as the product's operator would."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=REPOSITORY,
            env=self._environment,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        return done.stdout

    def _await_address(self) -> str:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            state = running_state(self.paths)
            if state is not None and state.address:
                return state.address
            if self._up.poll() is not None:
                break
            time.sleep(0.05)
        raise RuntimeError(f"The product didn't start:\n{self.output.read_text()}")
