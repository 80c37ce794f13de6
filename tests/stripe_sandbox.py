"""The embedded Stripe as a process beside the tests: reached as the product reaches it."""

import json
import os
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any, Self

KEY = "sk_test_of_the_tests"
SECRET = "whsec_of_the_tests"
NOBODY = "http://127.0.0.1:9/"

GOOD = "4242424242424242"
DECLINED = "4000000000000002"
DECLINES_LATER = "4000000000000341"


class StripeSandbox:
    """Runs from `with` to its end; `webhook` is where it delivers events to."""

    def __init__(self, folder: Path, webhook: str = NOBODY) -> None:
        self._folder = folder
        self._webhook = webhook
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    @property
    def base(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        (self._folder / "key").write_text(KEY)
        (self._folder / "secret").write_text(SECRET)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.start()
        return self

    def start(self) -> None:
        """Starts it, or starts it again with what it remembers."""
        ready, announce = os.pipe()
        folder = self._folder
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "billing.sandbox", "--port", str(self.port)),
                *("--state", str(folder / "state.sqlite3"), "--webhook", self._webhook),
                *("--key-file", str(folder / "key"), "--secret-file", str(folder / "secret")),
                *("--ready-fd", str(announce)),
            ],
            pass_fds=[announce],
        )
        os.close(announce)
        said = os.read(ready, 16)
        os.close(ready)
        assert said, "the sandbox did not start"

    def stop(self) -> None:
        """Stops it; nothing answers at its address."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def control(self, path: str, **values: object) -> dict[str, Any]:
        """One of its own calls, which Stripe does not have: `pay`, `clock`, …"""
        request = urllib.request.Request(
            f"{self.base}/sandbox/{path}",
            data=json.dumps(values).encode(),
            headers={"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            found: dict[str, Any] = json.loads(answer.read())
            return found

    def get(self, path: str) -> dict[str, Any]:
        """An object or a list of the API's, as it is on the wire."""
        return self._api("GET", path)

    def delete(self, path: str) -> dict[str, Any]:
        """Deletes an object, as somebody does in Stripe's dashboard."""
        return self._api("DELETE", path)

    def _api(self, method: str, path: str) -> dict[str, Any]:
        request = urllib.request.Request(
            f"{self.base}/v1/{path}", headers={"Authorization": f"Bearer {KEY}"}, method=method
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            found: dict[str, Any] = json.loads(answer.read())
            return found

    def pay(self, session_id: str, number: str = GOOD) -> dict[str, Any]:
        """Pays a Checkout session as its page does; what came of it."""
        return self.control("pay", session=session_id, number=number)
