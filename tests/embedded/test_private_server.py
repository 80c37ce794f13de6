"""Servers for one process alone, such as a test session's."""

import subprocess
import sys

import pytest

from scalix.embedded.errors import PartFailedError
from scalix.embedded.part import Part
from scalix.embedded.paths import EmbeddedPaths
from scalix.embedded.private_server import PrivateServer
from scalix.embedded.process_identity import ProcessIdentity
from tests.embedded.waiting import eventually

SESSION = """
import sys, time
from pathlib import Path
from scalix.embedded.paths import EmbeddedPaths
from scalix.embedded.postgres import postgres_part
from scalix.embedded.private_server import PrivateServer
from scalix.embedded.valkey import valkey_part
paths = EmbeddedPaths(Path(sys.argv[1]))
servers = [
    PrivateServer(postgres_part(paths, durable=False), paths.logs / "postgres.log"),
    PrivateServer(valkey_part(paths), paths.logs / "valkey.log"),
]
for server in servers:
    server.start()
print(*(server.pid for server in servers), flush=True)
time.sleep(60)
"""


def test_a_session_killed_with_9_leaves_no_server_behind(paths: EmbeddedPaths) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SESSION, str(paths.var)], stdout=subprocess.PIPE, text=True
    ) as session:
        assert session.stdout is not None
        servers = [ProcessIdentity.of(int(pid)) for pid in session.stdout.readline().split()]
        assert len(servers) == 2
        session.kill()
    for server in servers:
        assert server is not None
        eventually(lambda gone=server: not gone.is_running(), f"{server} to end")


def part(*command: str, ready: bool) -> Part:
    return Part(name="fake", command=lambda: command, is_ready=lambda: ready)


def test_a_part_that_ends_at_once_is_reported_with_its_last_lines(paths: EmbeddedPaths) -> None:
    broken = part("sh", "-c", "echo no licence; exit 3", ready=False)
    with pytest.raises(PartFailedError, match="no licence"):
        PrivateServer(broken, paths.logs / "fake.log").start()


def test_a_part_that_never_gets_ready_is_ended(paths: EmbeddedPaths) -> None:
    slow = PrivateServer(part("sleep", "60", ready=False), paths.logs / "fake.log")
    with pytest.raises(PartFailedError, match="wasn't ready"):
        slow.start(seconds=0.1)
    with pytest.raises(RuntimeError, match="isn't started"):
        _ = slow.pid


def test_a_part_that_only_tells_a_supervisor_is_refused(paths: EmbeddedPaths) -> None:
    silent = Part(name="fake", command=lambda: ["true"])
    with pytest.raises(ValueError, match="without a supervisor"):
        PrivateServer(silent, paths.logs / "fake.log")
