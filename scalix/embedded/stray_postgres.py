"""Find and end the Postgres processes that a killed supervisor or postmaster left behind.

Postgres's own check believes the process number in postmaster.pid, even when that number has
since been given to some other program; then it refuses to start until somebody removes the file.
"""

import signal
import sys
import time
from pathlib import Path

from scalix.embedded.errors import EmbeddedError
from scalix.embedded.process_identity import ProcessIdentity

_PATIENCE = ((signal.SIGINT, 20.0), (signal.SIGQUIT, 5.0))
"""What a postmaster is sent, from polite to urgent, with the seconds that each gets to work."""
_KILL_SECONDS = 5.0


def end_stray_postgres(data: Path) -> None:
    """End whatever Postgres still runs on `data`, and remove its lock file.

    Elsewhere than on Linux this leaves the question to Postgres's own check.
    """
    if sys.platform != "linux" or not data.exists():
        return
    pid_file = data / "postmaster.pid"
    postmaster = _first_number(pid_file)
    for number, seconds in _PATIENCE:
        for stray in _postgres_processes_in(data):
            if stray.pid == postmaster:  # it ends its children itself
                stray.signal(number)
                _wait_until_ended([stray], seconds)
    # Without a postmaster nothing is left to be saved: the next start replays the log.
    orphans = _postgres_processes_in(data)
    for orphan in orphans:
        orphan.signal(signal.SIGKILL)
    _wait_until_ended(orphans, _KILL_SECONDS)
    if _postgres_processes_in(data):
        raise EmbeddedError(f"A Postgres process that uses {data} doesn't end, even by kill -9.")
    pid_file.unlink(missing_ok=True)  # nobody uses the cluster, so that it can only mislead


def _postgres_processes_in(data: Path) -> list[ProcessIdentity]:
    """Postmaster and backends alike stay in the data directory for as long as they live."""
    folder = data.resolve()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            ours = (entry / "cwd").readlink() == folder
            ours = ours and (entry / "exe").readlink().name == "postgres"
        except OSError:
            continue  # it ended meanwhile, or is another user's and so none of ours
        if ours and (identity := ProcessIdentity.of(int(entry.name))) is not None:
            found.append(identity)
    return found


def _first_number(pid_file: Path) -> int | None:
    try:
        return int(pid_file.read_text().split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return None


def _wait_until_ended(processes: list[ProcessIdentity], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and any(process.is_running() for process in processes):
        time.sleep(0.02)
