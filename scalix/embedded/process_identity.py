"""Tell a process from another that was later given the same number."""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A process number and when that process began, in the operating system's own words."""

    pid: int
    began: str

    @classmethod
    def of(cls, pid: int) -> "ProcessIdentity | None":
        """The process that has this number now; None where none runs (a zombie doesn't)."""
        began = _began(pid)
        return None if began is None else cls(pid, began)

    def is_running(self) -> bool:
        """Whether this very process still runs."""
        return _began(self.pid) == self.began

    def signal(self, number: signal.Signals) -> None:
        """Signal the process and its group, or nobody when it has ended meanwhile."""
        if not self.is_running():
            return
        try:
            # Parts lead a group of their own, so that what they forked goes with them.
            if os.getpgid(self.pid) == self.pid:
                os.killpg(self.pid, number)
            else:
                os.kill(self.pid, number)
        except ProcessLookupError:
            return  # it ended between the question and the signal, which is what was wanted


def _began(pid: int) -> str | None:
    """Linux: boot id and clock ticks since boot; elsewhere what ps prints as the start time."""
    if sys.platform != "linux":
        return _began_by_ps(pid)
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The command's name, in parentheses, may hold spaces: count the fields from behind it.
    fields = stat.rpartition(")")[2].split()
    state, ticks = fields[0], fields[19]
    if state in "ZX":
        return None
    return f"{_BOOT_ID.read_text().strip()}/{ticks}"


def _began_by_ps(pid: int) -> str | None:
    answer = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,  # it fails where there is no such process
    ).stdout.split(maxsplit=1)
    if len(answer) < 2 or answer[0].startswith("Z"):
        return None
    return answer[1].strip()
