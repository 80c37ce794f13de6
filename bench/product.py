"""A whole product of one's own: `manage.py up` in a state folder of its own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import httpx

from scalix.embedded.paths import EmbeddedPaths
from scalix.embedded.state import SupervisorState, running_state

REPOSITORY: Final = Path(__file__).resolve().parents[1]
# How long a start, a stop or a restart may take before it counts as failed, in seconds.
PATIENCE: Final = 90.0


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
            **os.environ,
            "SCALIX_VAR": str(var),
            "DATABASE_URL": "",
            "REDIS_URL": "",
            "WEB_PROCESSES": str(web_processes),
            "UPSTREAM_BASE_URL": upstream,
            "UPSTREAM_API_KEY": "sk-double",
            "UPSTREAM_MODEL": "double-small",
            **(settings or {}),
        }
        var.mkdir(parents=True, exist_ok=True)
        self.output = var / "up.log"
        with self.output.open("wb") as output:
            self._up = subprocess.Popen(
                [sys.executable, "manage.py", "up"],
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
        """End one process of it with kill -9."""
        os.kill(pid, signal.SIGKILL)

    def await_ready(self) -> None:
        """Wait until /readyz says yes. Raises TimeoutError with the product's output."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                if httpx.get(f"{self.address}/readyz", timeout=2).status_code == 200:
                    return
            except httpx.TransportError:
                self.state()  # which raises if the product is gone rather than not yet there
            time.sleep(0.05)
        raise TimeoutError(f"The product isn't ready:\n{self.output.read_text()}")

    def issue_token(self, email: str, tier: str) -> str:
        """A new token of a new or known user, put on this tier."""
        return self.manage("issue_token", email, "--tier", tier).split()[-1]

    def issue_tokens(self, emails: Sequence[str], tier: str) -> list[str]:
        """A token of each of these users."""
        with ThreadPoolExecutor(max_workers=2) as pool:
            return list(pool.map(lambda email: self.issue_token(email, tier), emails))

    def manage(self, *command: str) -> str:
        """Run a `manage.py` command beside it and give what it printed."""
        return subprocess.run(
            [sys.executable, "manage.py", *command],
            cwd=REPOSITORY,
            env=self._environment,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout

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
