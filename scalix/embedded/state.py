"""What the supervisor leaves on disk for its successor and for other commands."""

import fcntl
import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from scalix.embedded.errors import AlreadyRunningError
from scalix.embedded.paths import EmbeddedPaths
from scalix.embedded.process_identity import ProcessIdentity


@dataclass(frozen=True, slots=True)
class StartedProcess:
    """A process that the supervisor started, and how to end it."""

    name: str
    identity: ProcessIdentity
    stop_signal: signal.Signals


@dataclass(frozen=True, slots=True)
class SupervisorState:
    """One supervisor's processes and addresses."""

    supervisor: ProcessIdentity
    address: str
    """Where the web processes answer, such as http://127.0.0.1:8000."""
    demo_model_url: str
    """The demo model's base URL, or the empty string where there is none."""
    processes: tuple[StartedProcess, ...] = ()
    stripe_url: str = ""
    """The payment sandbox's address, or the empty string where there is none."""


def running_state(paths: EmbeddedPaths) -> SupervisorState | None:
    """The state of the supervisor that runs on this folder now; None when none does."""
    state = read_state(paths)
    return state if state is not None and state.supervisor.is_running() else None


def read_state(paths: EmbeddedPaths) -> SupervisorState | None:
    """The last state that was written, of a living supervisor or a dead one."""
    try:
        found = json.loads(paths.supervisor_state.read_text())
        return SupervisorState(
            supervisor=ProcessIdentity(**found["supervisor"]),
            address=found["address"],
            demo_model_url=found["demo_model_url"],
            stripe_url=found["stripe_url"],
            processes=tuple(
                StartedProcess(
                    name=process["name"],
                    identity=ProcessIdentity(**process["identity"]),
                    stop_signal=signal.Signals(process["stop_signal"]),
                )
                for process in found["processes"]
            ),
        )
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None  # none was written, or one of another release: nothing in it can be trusted


def write_state(paths: EmbeddedPaths, state: SupervisorState) -> None:
    """Replace the state in one move: a reader sees the old one or the new one."""
    new = paths.supervisor_state.with_suffix(".new")
    new.write_text(json.dumps(asdict(state)))
    new.replace(paths.supervisor_state)


def remove_state(paths: EmbeddedPaths) -> None:
    """Everything has ended."""
    paths.supervisor_state.unlink(missing_ok=True)


@contextmanager
def folder_lock(paths: EmbeddedPaths) -> Iterator[None]:
    """Hold the state folder, or raise AlreadyRunningError. Every kind of death gives it back."""
    descriptor = os.open(paths.supervisor_lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunningError(_who_runs(paths)) from None
        yield
    finally:
        os.close(descriptor)


def _who_runs(paths: EmbeddedPaths) -> str:
    state = running_state(paths)
    if state is None:
        return f"Scalix is already starting or stopping in {paths.var}. Try again in a moment."
    return (
        f"Scalix is already running in {paths.var}: {state.address}\n"
        f"Stop it with Ctrl-C where it was started, or with: kill {state.supervisor.pid}"
    )
