"""Start commands that cannot outlive the process that started them.

`leashed` puts this file, as a script, between fork and exec of everything that the embedded parts
start. The kernel then sends the command its death signal when its parent dies, even by kill -9
(Linux; elsewhere the next start finds what was left, see `orphans`). It is a program and not
Popen's `preexec_fn`, which may deadlock in a process with threads.

The death signal follows the thread that started the command: start parts from a thread that
lives as long as the process.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

PR_SET_PDEATHSIG = 1


def leashed(
    command: Sequence[str],
    *,
    death_signal: signal.Signals = signal.SIGKILL,
    user_id: int | None = None,
) -> list[str]:
    """The command to execute instead of `command`, from this very process.

    `user_id` is whom root becomes first. The kernel forgets a death signal when the user
    changes, which is why one place does both.
    """
    user = "-" if user_id is None else str(user_id)
    program = [sys.executable, "-I", "-S", str(Path(__file__).resolve())]
    return [*program, str(os.getpid()), str(int(death_signal)), user, *command]


def main(parent: int, death_signal: int, user: str, command: list[str]) -> None:
    """Never returns: it becomes `command`, or exits when `parent` is gone already."""
    if user != "-":
        os.setgroups([])
        os.setgid(int(user))
        os.setuid(int(user))
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:  # it died before the leash was on
        sys.exit(1)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:])
