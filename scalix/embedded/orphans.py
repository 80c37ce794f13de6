"""End what a killed supervisor left running.

On Linux the kernel ends the parts with their supervisor; this waits for those that need a moment,
and does the whole work elsewhere. A process is known by its number and its beginning, so that one
which was given a dead part's number is left alone.
"""

import signal
import time

from scalix.embedded.paths import EmbeddedPaths
from scalix.embedded.state import StartedProcess, read_state, remove_state

_POLITE_SECONDS = 15.0


def end_orphans(paths: EmbeddedPaths) -> list[str]:
    """End them and return their names. The caller holds the folder's lock."""
    state = read_state(paths)
    found = [process for process in state.processes if _runs(process)] if state else []
    for process in found:
        process.identity.signal(process.stop_signal)
    deadline = time.monotonic() + _POLITE_SECONDS
    while any(_runs(process) for process in found) and time.monotonic() < deadline:
        time.sleep(0.02)
    for process in found:
        process.identity.signal(signal.SIGKILL)
    remove_state(paths)
    return [process.name for process in found]


def _runs(process: StartedProcess) -> bool:
    return process.identity.is_running()
