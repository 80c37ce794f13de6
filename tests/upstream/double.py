"""Start a double in a process of its own, and talk to its controls."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import httpx

from scalix.embedded.leash import leashed
from tests.upstream.script import Script, parse_settings

_REPOSITORY: Final = Path(__file__).resolve().parents[2]
# How long a test waits for the double to be in the state it wants, in seconds.
PATIENCE: Final = 10.0


class UpstreamDouble:
    """A running double.

    Use it as a context manager, or `stop()` it. `base_url` is what an OpenAI client is given, with
    its /v1.
    """

    def __init__(
        self,
        *,
        models: Sequence[str] = (),
        api_key: str | None = None,
        log_path: Path | None = None,
    ) -> None:
        command = [sys.executable, "-m", "tests.upstream"]
        for model in models:
            command += ["--model", model]
        if api_key is not None:
            command += ["--api-key", api_key]
        if log_path is not None:
            command += ["--log", str(log_path)]
        # On a leash: it ends with this process, however that ends.
        self.process = subprocess.Popen(
            leashed(command), cwd=_REPOSITORY, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"The double ended at once with {self.process.wait()}.")
        addresses = json.loads(line)
        self.base_url: str = addresses["base_url"]
        self.control_url: str = addresses["control_url"]
        self._control = httpx.Client(base_url=self.control_url, timeout=30)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End the process and wait for it."""
        self._control.close()
        self.process.terminate()
        self.process.wait(timeout=PATIENCE)
        if self.process.stdout:
            self.process.stdout.close()

    def script(self, **settings: object) -> None:
        """Make these the default of requests whose marker doesn't say otherwise.

        The settings are the fields of `script.Script`; those left out go back to their defaults.
        """
        parse_settings(settings, Script())
        self._post("script", settings)

    def release(self, hold: str) -> None:
        """Let the requests with `hold=<name>` go on, and those that come later."""
        self._post("release", {"hold": hold})

    def reset(self) -> None:
        """Forget the log, the maxima, the default script and the gates."""
        self._post("reset", {})

    def await_arrival(self, call_id: str) -> None:
        """Wait until a call with this correlation mark has arrived."""
        self._post("arrival", {"id": call_id})

    def log(self, *, id_prefix: str = "") -> list[dict[str, Any]]:
        """The calls in arrival order, as dicts of `calls.Call`'s fields.

        With a prefix, only the calls whose correlation mark starts with it.
        """
        calls: list[dict[str, Any]] = self._get("log")["calls"]
        return [call for call in calls if call["id"].startswith(id_prefix)]

    def received(self) -> int:
        """How many calls have arrived."""
        return int(self._get("gauges")["received"])

    def open_calls(self) -> int:
        """How many calls are open now."""
        return int(self._get("gauges")["open"])

    def max_at_once(self, account: str | None = None) -> int:
        """The most calls that were open at once: of one account's marker, or of all together."""
        gauges = self._get("gauges")
        if account is None:
            return int(gauges["most_at_once"])
        return int(gauges["most_at_once_by_account"].get(account, 0))

    def wait_until(self, condition: Callable[[Self], bool], patience: float = PATIENCE) -> None:
        """Wait for a condition of the double, e.g. `lambda double: double.open_calls() == 2`.

        Raises TimeoutError with the gauges when it doesn't come about.
        """
        deadline = time.monotonic() + patience
        while not condition(self):
            if time.monotonic() > deadline:
                raise TimeoutError(f"The double is still at {self._get('gauges')}.")
            time.sleep(0.01)

    def _get(self, name: str) -> dict[str, Any]:
        answer: dict[str, Any] = self._control.get(f"/{name}").raise_for_status().json()
        return answer

    def _post(self, name: str, body: object) -> None:
        self._control.post(f"/{name}", json=body).raise_for_status()
