"""Drive an SDK in its own interpreter."""

import json
import subprocess
from pathlib import Path
from typing import Any, Final

_CHILD: Final = Path(__file__).with_name("sdk_child.py")
_NODE_CHILD: Final = Path(__file__).parent / "node" / "node_child.mjs"


def python_command(python: Path, actions: Path) -> list[str]:
    """Runs an SDK of that interpreter's; `actions` is the file that says what it can do."""
    # -I: neither this repository nor the environment may lend it a module.
    return [str(python), "-I", str(_CHILD), str(actions)]


def node_command(node: str, installed: Path, actions: Path) -> list[str]:
    """The same for Node; `installed` is the folder with the SDK."""
    return [node, str(_NODE_CHILD), str(installed), str(actions)]


class Sdk:
    """One version of an SDK, in a process of its own that lives as long as this object is open."""

    def __init__(self, command: list[str]) -> None:
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.version: str = self._read()["version"]

    def close(self) -> None:
        """End the process."""
        self._process.communicate(timeout=10)

    def do(self, action: str, *, base_url: str, token: str, **order: Any) -> dict[str, Any]:
        """One of the actions; the answer holds the result, or `error` as `sdk_child.describe` says.

        Always with `http_requests`, how many the SDK sent, and `seconds`, how long it took.
        """
        line = {"action": action, "base_url": base_url, "token": token, **order}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(line) + "\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"The SDK's process ended with {self._process.wait()}.")
        answer: dict[str, Any] = json.loads(line)
        return answer
