"""A Postgres and a Valkey for one test process alone, in a folder that goes away with it."""

import os
import secrets
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

from scalix.embedded.paths import EmbeddedPaths
from scalix.embedded.postgres import postgres_part
from scalix.embedded.private_server import PrivateServer
from scalix.embedded.valkey import valkey_part

_REAPER: Final = Path(__file__).with_name("reaper.py")


def family_of(pid: int) -> list[int]:
    """A process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [pid, *map(int, children.split())]


def kill_at_once(server: PrivateServer) -> None:
    """Ends it as a power failure would.  Left alone, Postgres' children finish what they are at."""
    _, *children = family_of(server.pid)
    server.kill()
    for pid in children:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


class PrivateServers:
    """The two servers that the product needs; nothing runs, and no folder exists, before `start`.

    The addresses are known from the beginning, so that settings can be read first.
    """

    def __init__(self) -> None:
        # Short, for the sockets' sake, and by itself in /tmp, for the reaper's.
        folder = Path(tempfile.gettempdir()) / f"scalix-tests-{os.getpid()}-{secrets.token_hex(4)}"
        self.paths = EmbeddedPaths(folder)
        self.database_url = self.paths.postgres_dsn
        self.redis_url = self.paths.valkey_url
        self._reaper: subprocess.Popen[bytes] | None = None
        self._postgres: PrivateServer | None = None
        self._valkey: PrivateServer | None = None

    @property
    def postgres(self) -> PrivateServer:
        """The running Postgres: `kill()` and `start()` are a test's to use."""
        assert self._postgres is not None, "the servers are not started"
        return self._postgres

    @property
    def valkey(self) -> PrivateServer:
        """The running Valkey: `kill()` and `start()` are a test's to use."""
        assert self._valkey is not None, "the servers are not started"
        return self._valkey

    def start(self) -> None:
        """Returns once both answer.  A second call does nothing."""
        if self._reaper is not None:
            return
        self.paths.var.mkdir(mode=0o700)
        # The servers end with this process even by kill -9; the reaper then removes their files.
        self._reaper = subprocess.Popen(
            [sys.executable, str(_REAPER), str(self.paths.var)],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        logs = self.paths.var / "logs"
        self._postgres = PrivateServer(postgres_part(self.paths, durable=False), logs / "postgres")
        self._valkey = PrivateServer(valkey_part(self.paths), logs / "valkey")
        self._postgres.start()
        self._valkey.start()

    def stop(self) -> None:
        """Ends both and removes their files."""
        if self._reaper is None:
            return
        self.postgres.stop()
        self.valkey.stop()
        assert self._reaper.stdin is not None
        self._reaper.stdin.close()
        self._reaper.wait()
        self._reaper = None
