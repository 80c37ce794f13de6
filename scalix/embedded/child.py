"""A running process, seen from the supervisor's event loop."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence

from scalix.embedded.output import PartLog
from scalix.embedded.process_identity import ProcessIdentity

_LAST_OUTPUT_SECONDS = 0.5


class Child:
    """One process: its output goes to a log, its end to a future. Made by `Children.start`."""

    def __init__(
        self, process: subprocess.Popen[bytes], log: PartLog, ready_fd: int | None
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._process = process
        self._log = log
        self.identity = ProcessIdentity.of(process.pid)
        """None when it ended at once."""
        self.said_ready = asyncio.Event()
        """Set when it wrote to its ready descriptor."""
        self.ended: asyncio.Future[int] = self._loop.create_future()
        """The exit status, negative for a signal, once its last output was taken."""
        self._output_ended = asyncio.Event()
        assert process.stdout is not None
        self._output = process.stdout.fileno()
        os.set_blocking(self._output, False)
        self._loop.add_reader(self._output, self._take_output)
        self._ready_fd = ready_fd
        if ready_fd is not None:
            os.set_blocking(ready_fd, False)
            self._loop.add_reader(ready_fd, self._take_ready)

    def send(self, number: signal.Signals) -> None:
        """Signal the process and what it forked; nobody if it has ended."""
        if self.identity is not None:
            self.identity.signal(number)

    async def collect(self, status: int) -> None:
        """The process has ended: take the rest of its output, then tell who waits."""
        try:
            # Something it forked may hold the pipe open: what isn't there by now isn't its own.
            await asyncio.wait_for(self._output_ended.wait(), _LAST_OUTPUT_SECONDS)
        except TimeoutError:
            self._loop.remove_reader(self._output)
        self._log.end()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._take_ready()
        self.ended.set_result(status)

    def _take_output(self) -> None:
        try:
            data = os.read(self._output, 65536)
        except BlockingIOError:
            return
        if data:
            self._log.feed(data)
        else:
            self._loop.remove_reader(self._output)
            self._output_ended.set()

    def _take_ready(self) -> None:
        if self._ready_fd is None:
            return
        try:
            if os.read(self._ready_fd, 64):
                self.said_ready.set()
        except BlockingIOError:
            pass  # it ended without a word, and something that it forked lives on
        self._loop.remove_reader(self._ready_fd)
        os.close(self._ready_fd)
        self._ready_fd = None


class Children:
    """Starts processes and notices their ends.

    It polls its processes at every SIGCHLD rather than leave that to asyncio, which would need a
    thread for each, or in some versions tell of an end only when the last pipe is closed.
    """

    def __init__(self) -> None:
        self._running: dict[Child, subprocess.Popen[bytes]] = {}
        self._collecting: set[asyncio.Task[None]] = set()

    def listen(self) -> None:
        """Begin to notice ends; called once, in the main thread's loop."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, self._notice_ends)

    def start(
        self,
        command: Sequence[str],
        log: PartLog,
        *,
        environment: Mapping[str, str],
        inherited_fds: Sequence[int] = (),
        announces: bool = False,
    ) -> Child:
        """Start a process in a session of its own, so that the terminal's Ctrl-C isn't for it.

        `announces` adds `--ready-fd N` to the command; see `announce`.
        """
        ready_read, ready_write = os.pipe() if announces else (None, None)
        announcement = () if ready_write is None else ("--ready-fd", str(ready_write))
        passed = (*inherited_fds,) if ready_write is None else (*inherited_fds, ready_write)
        log.forget()
        process = subprocess.Popen(
            [*command, *announcement],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            pass_fds=passed,
            start_new_session=True,
        )
        if ready_write is not None:
            os.close(ready_write)
        child = Child(process, log, ready_read)
        self._running[child] = process
        self._notice_ends()  # it may have ended before it was on the list
        return child

    def running(self) -> list[Child]:
        """Those whose end wasn't noticed yet."""
        return list(self._running)

    def _notice_ends(self) -> None:
        for child, process in list(self._running.items()):
            status = process.poll()
            if status is not None:
                del self._running[child]
                task = asyncio.get_running_loop().create_task(child.collect(status))
                self._collecting.add(task)
                task.add_done_callback(self._collecting.discard)
