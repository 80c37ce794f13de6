"""What the supervisor is told about the processes it starts: values, no behaviour."""

import re
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field


def _nothing() -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A process that is to run for as long as the supervisor does.

    `command` is asked anew before every start, after `prepare`; both may block for a few seconds
    and raise EmbeddedError. `is_ready` may block for a moment; without one the process itself
    says when it is ready: it gets `--ready-fd N` and writes to that descriptor (see `announce`).
    """

    name: str
    command: Callable[[], Sequence[str]]
    environment: Mapping[str, str] = field(default_factory=dict)
    """Added to the supervisor's own."""
    prepare: Callable[[], None] = _nothing
    is_ready: Callable[[], bool] | None = None
    inherited_fds: tuple[int, ...] = ()
    user_id: int | None = None
    """Whom root becomes first."""
    stop_signal: signal.Signals = signal.SIGTERM
    grace_seconds: float = 10.0
    """How long an orderly stop may take before the process group is killed."""
    halt_signal: signal.Signals = signal.SIGKILL
    """Ends it at once, without grace."""
    death_signal: signal.Signals = signal.SIGKILL
    """What the kernel sends it when its parent dies."""
    shown: re.Pattern[str] | None = None
    """Which lines reach the console; None: all of them. The log file has every line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A process that has to end well before the next stage starts, such as the migrations."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)


Stage = Sequence[Part | Step]
"""What starts together; the next stage waits until all of it is ready or done."""
