"""Workers of payments that a test may kill at any moment.

Run as a program, this file forks a worker for each line that it reads and says its pid: a process
that has loaded Django once makes new ones in milliseconds.
"""

import os
import signal
import subprocess
import sys
import time
import traceback
from types import TracebackType
from typing import Final, Self

from django.db import connection

from scalix.embedded.leash import leashed

_PAUSE: Final = 0.005  # seconds between two looks at the inbox; Celery's beat looks every two


class Workers:
    """Makes workers on the tests' database that ask the Stripe at `base`."""

    def __init__(self, base: str) -> None:
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "scalix.settings",
            "STRIPE_API_BASE": base,
        }
        command = [sys.executable, "-m", __name__, connection.settings_dict["NAME"]]
        self._process = subprocess.Popen(
            leashed(command),
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._alive: set[int] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for pid in list(self._alive):
            self.kill(pid)
        self._process.communicate("")

    def start(self) -> int:
        """The pid of a new worker."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        pid = int(self._process.stdout.readline())
        self._alive.add(pid)
        return pid

    def kill(self, pid: int) -> None:
        """Kills it with SIGKILL; returns when it is gone."""
        self._alive.discard(pid)
        os.kill(pid, signal.SIGKILL)
        while _exists(pid):
            time.sleep(0.001)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _work(parent: int) -> None:
    """Drains the inbox until it is killed or its parent is gone."""
    from billing.payments import inbox
    from billing.payments.stripe_api import worker_api

    stripe = worker_api()
    while os.getppid() == parent:
        try:
            inbox.drain(stripe)
        except Exception:  # noqa: BLE001  (as with Celery, the next task comes all the same)
            traceback.print_exc()
            connection.close()
        time.sleep(_PAUSE)


def _main(database: str) -> None:
    import django

    django.setup()
    connection.settings_dict["NAME"] = database
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    parent = os.getpid()
    for _ in sys.stdin:
        pid = os.fork()
        if pid == 0:
            _work(parent)
            os._exit(0)
        print(pid, flush=True)


if __name__ == "__main__":
    _main(sys.argv[1])
