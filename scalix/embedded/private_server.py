"""Run one part by hand, without a supervisor: what a test session does with its servers."""

import os
import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from scalix.embedded.errors import PartFailedError
from scalix.embedded.leash import leashed
from scalix.embedded.part import Part
from scalix.embedded.process_identity import ProcessIdentity


class PrivateServer:
    """A part with `is_ready`, run for this process alone: it ends with it, even by kill -9.

    Use it as a context manager, or call `start` and `stop`. Start it from the main thread, whose
    end the kernel takes for the end of the process. Its output goes to `log`.
    """

    def __init__(self, part: Part, log: Path) -> None:
        if part.is_ready is None:
            raise ValueError(f"{part.name} cannot tell without a supervisor when it is ready")
        self._is_ready = part.is_ready
        self._part = part
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The running server's process number."""
        return self._running().pid

    def start(self, *, seconds: float = 180) -> None:
        """Return once it is ready. Raises PartFailedError when it ends first or takes longer.

        What was killed has its log to go through first, which takes a busy machine a minute.
        """
        part = self._part
        part.prepare()
        command = leashed(part.command(), death_signal=part.death_signal, user_id=part.user_id)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                env={**os.environ, **part.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + seconds
        while not self._is_ready():
            if self._process.poll() is not None:
                raise PartFailedError(
                    f"{part.name} ended before it was ready:\n{self._last_lines()}"
                )
            if time.monotonic() > deadline:
                self.stop()
                raise PartFailedError(f"{part.name} wasn't ready in {seconds:g} s; see {self._log}")
            time.sleep(0.01)

    def stop(self) -> None:
        """End it in good order, or by force when it takes longer than its part allows."""
        process = self._running()
        process.send_signal(self._part.stop_signal)
        try:
            process.wait(self._part.grace_seconds)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """End it as a power failure would; `start` works again afterwards."""
        process = self._running()
        if (identity := ProcessIdentity.of(process.pid)) is not None:
            identity.signal(signal.SIGKILL)
        process.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self.stop()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError(f"{self._part.name} isn't started")
        return self._process

    def _last_lines(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-10:])
