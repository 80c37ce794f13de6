"""CPU time of processes, and the cores they may use, from /proc."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_TICK: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class ProcessStat:
    """One process as /proc/PID/stat has it (proc_pid_stat(5)). Times in seconds of CPU."""

    pid: int
    name: str
    parent: int
    own: float
    """User and system time of all its threads, ended ones too."""
    waited_for: float
    """The same, of its ended children that it waited for."""


def read_stat(pid: int) -> ProcessStat:
    """Read one process. Raises FileNotFoundError or ProcessLookupError when it's gone."""
    text = Path(f"/proc/{pid}/stat").read_text()
    # The name stands in parentheses and may hold any character, parentheses too.
    name = text[text.index("(") + 1 : text.rindex(")")]
    fields = text[text.rindex(")") + 2 :].split()
    user, system, waited_user, waited_system = (int(ticks) for ticks in fields[11:15])
    return ProcessStat(
        pid=pid,
        name=name,
        parent=int(fields[1]),
        own=(user + system) / _TICK,
        waited_for=(waited_user + waited_system) / _TICK,
    )


def all_processes() -> list[ProcessStat]:
    """Every process that can be read now."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                found.append(read_stat(int(entry.name)))
            except (FileNotFoundError, ProcessLookupError):
                continue  # ended since it was listed
    return found


def descendants(root: int) -> list[ProcessStat]:
    """The living processes below one process, itself not among them."""
    by_parent: dict[int, list[ProcessStat]] = {}
    for process in all_processes():
        by_parent.setdefault(process.parent, []).append(process)
    found: list[ProcessStat] = []
    to_visit = [root]
    while to_visit:
        children = by_parent.get(to_visit.pop(), [])
        found += children
        to_visit += [child.pid for child in children]
    return found


def own_seconds(pid: int) -> float:
    """User and system CPU seconds of one process with all its threads."""
    return read_stat(pid).own


def family_seconds(root: int) -> float:
    """CPU seconds of a process and everything below it, living or waited for.

    A server that forks a process for each connection is measured whole.
    """
    family = [read_stat(root), *descendants(root)]
    return sum(process.own + process.waited_for for process in family)


def pin(pid: int, core: int) -> None:
    """Keep every thread of a process, and what it starts later, on one core."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), {core})


def pin_family(root: int, core: int) -> None:
    """Pin a process and everything below it."""
    for pid in (root, *(process.pid for process in descendants(root))):
        pin(pid, core)
