"""A sandbox on a free port of the loopback interface."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

KEY = "sk_test_only"


@pytest.fixture
def sandbox_base(tmp_path: Path) -> Iterator[str]:
    """The address of a running sandbox."""
    (tmp_path / "key").write_text(KEY)
    (tmp_path / "secret").write_text("whsec_test")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ready, announce = os.pipe()
    command = [sys.executable, "-m", "billing.sandbox", "--port", str(port)]
    command += ["--state", str(tmp_path / "state.sqlite3"), "--key-file", str(tmp_path / "key")]
    command += ["--secret-file", str(tmp_path / "secret"), "--webhook", "http://127.0.0.1:9/none"]
    command += ["--ready-fd", str(announce)]
    server = subprocess.Popen(command, pass_fds=[announce])
    os.close(announce)
    assert os.read(ready, 1), "the sandbox did not start"
    os.close(ready)
    yield f"http://127.0.0.1:{port}"
    server.terminate()
    server.wait()
