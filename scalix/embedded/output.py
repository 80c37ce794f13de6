"""What the parts print: prefixed on the console, whole in bounded files under var/logs."""

import os
import re
import sys
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TextIO

SUPERVISOR = "scalix"
_MAX_LOG_BYTES = 4 * 1024 * 1024
_MAX_LINE_BYTES = 16 * 1024
_KEPT_LINES = 12


def short(path: Path) -> str:
    """The path as seen from the current folder, or in full when it lies elsewhere."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


class Console:
    """Lines of many sources on one stream, each behind its source's name."""

    def __init__(self, names: Iterable[str], stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._width = max(len(name) for name in (SUPERVISOR, *names))

    def show(self, name: str, text: str) -> None:
        """Print each line of `text` as coming from `name`."""
        for line in text.splitlines():
            self._print(f"{name:<{self._width}} | {line}")

    def say(self, text: str) -> None:
        """Print as the supervisor itself."""
        self.show(SUPERVISOR, text)

    def banner(self, text: str) -> None:
        """Print without a prefix, for what a person looks for."""
        self._print(text)

    def _print(self, line: str) -> None:
        try:
            print(line, file=self._stream, flush=True)
        except BrokenPipeError:
            # Whoever read the console has gone (`make run | head`); the files go on. A stream of
            # its own, because Python flushes the broken one once more at exit.
            self._stream = Path(os.devnull).open("w")  # noqa: SIM115 (as long as we run)
        except OSError:
            # A full disk below a redirected console. The line stays in the stream's buffer, and
            # the parts go on running.
            return


class PartLog:
    """One part's output: cut into lines, filed, shown where it matters, its end remembered."""

    def __init__(
        self, name: str, folder: Path, console: Console, shown: re.Pattern[str] | None = None
    ) -> None:
        self.path = folder / f"{name}.log"
        self._name = name
        self._console = console
        self._shown = shown
        self._rest = b""
        self._last: deque[str] = deque(maxlen=_KEPT_LINES)
        # Unbuffered: what a full disk does not take must not come back with every later line.
        self._file = self.path.open("ab", buffering=0)

    def feed(self, data: bytes) -> None:
        """Take output as it comes, cut anywhere; an endless line is cut into pieces."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _MAX_LINE_BYTES:
            lines.append(self._rest)
            self._rest = b""
        for line in lines:
            self._take(line)

    def end(self) -> None:
        """Take what the process printed last without a line's end."""
        if self._rest:
            self._take(self._rest)
        self._rest = b""

    def close(self) -> None:
        """Give the file back."""
        self._file.close()

    def forget(self) -> None:
        """A new process begins: its last lines are its own."""
        self._last.clear()

    def last_lines(self) -> str:
        """The end of the output, for a message about why the process ended."""
        return "\n".join(line for line in self._last if line.strip())

    def _take(self, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip("\r")
        with suppress(OSError):  # a full disk: the console has it all the same
            self._file.write(line + b"\n")
            if self._file.tell() > _MAX_LOG_BYTES:
                self._rotate()
        self._last.append(text)
        if self._shown is None or self._shown.search(text):
            self._console.show(self._name, text)

    def _rotate(self) -> None:
        self.path.replace(self.path.with_suffix(".log.1"))
        full, self._file = self._file, self.path.open("ab", buffering=0)
        full.close()
