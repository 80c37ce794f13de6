"""Products to be treated badly: their settings, and what has to be put under them first."""

import datetime as dt
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, Literal

from tests.gateway_server import GatewayServer

IMPATIENT: Final = {"GATEWAY_SILENCE_SECONDS": "2", "GATEWAY_DEADLINE_SECONDS": "5"}
"""Settings of a product that waits for no upstream for long."""
_LIBFAKETIME: Final = "faketime/libfaketime.so.1"
_LIBRARIES: Final = (Path("/usr/lib"), Path("/usr/local/lib"))
_SOONEST_SECONDS: Final = 60
"""So long before its clock strikes is a product started, at first."""
_LEAST_SECONDS: Final = 25  # the load has to begin before it strikes, on a busy machine too
_MOST_SECONDS: Final = 30
DISK_BYTES: Final = 256 * 1024 * 1024


@contextmanager
def site(
    *,
    web_processes: int = 4,
    settings: Mapping[str, str] | None = None,
    small_disk: bool = False,
) -> Iterator[GatewayServer]:
    """A product in a state folder that goes away with it, on a disk of its own if it is to fill."""
    with tempfile.TemporaryDirectory(prefix="scalix-faults-") as folder, ExitStack() as disk:
        if small_disk:
            disk.enter_context(_mounted(folder))
        with GatewayServer(Path(folder), web_processes=web_processes, settings=settings) as running:
            yield running


@contextmanager
def _mounted(folder: str) -> Iterator[None]:
    options = f"size={DISK_BYTES},mode=0700"
    subprocess.run(("mount", "-t", "tmpfs", "-o", options, "tmpfs", folder), check=True)
    try:
        yield
    finally:
        subprocess.run(("umount", "--lazy", folder), check=True)


def find_libfaketime() -> Path | None:
    """Debian's `libfaketime`, which gives programs another clock, if it is installed."""
    for folder in _LIBRARIES:
        for found in (*folder.glob(_LIBFAKETIME), *folder.glob(f"*/{_LIBFAKETIME}")):
            return found
    return None


def may_mount() -> bool:
    """Whether a file system of one's own can be mounted here."""
    return os.geteuid() == 0 and shutil.which("mount") is not None


def let_it_end_soon(server: GatewayServer, what: Literal["hour", "month"]) -> dt.timedelta:
    """Starts a product again with a clock that strikes soon; gives how far ahead it is.

    All of its processes have that clock, its stores too.  FileNotFoundError without libfaketime.
    """
    library = find_libfaketime()
    if library is None:
        raise FileNotFoundError(_LIBFAKETIME)
    seconds, ahead = _SOONEST_SECONDS, dt.timedelta()
    while True:
        server.product.stop()
        ahead = _until(what, seconds, at_least=ahead)
        # Its monotonic clocks are as much ahead: told to leave them alone, it breaks `time.sleep`.
        server.start_again(LD_PRELOAD=str(library), FAKETIME=f"+{ahead.total_seconds():.0f}s")
        if _seconds_left(ahead) in range(_LEAST_SECONDS, 600):
            # Not under load for all of them: that would fill a small disk.
            while _seconds_left(ahead) > _MOST_SECONDS:
                time.sleep(1)
            return ahead
        seconds *= 2  # it struck while the product was starting


def _seconds_left(ahead: dt.timedelta) -> int:
    """Until a clock that is so far ahead strikes."""
    now = dt.datetime.now(dt.UTC) + ahead
    return 3_600 - (now.minute * 60 + now.second)


def _until(what: Literal["hour", "month"], seconds: int, *, at_least: dt.timedelta) -> dt.timedelta:
    """How far ahead a clock must be for an hour, or a month and a day with it, to end then."""
    soon = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)
    earliest = soon + at_least  # no clock of this product was ever later
    if what == "month":
        end = (earliest.replace(day=1) + dt.timedelta(days=32)).replace(day=1, hour=0)
    else:
        end = earliest + dt.timedelta(hours=1)
        if end.hour == 0:  # the day's end is another fault
            end += dt.timedelta(hours=1)
    return end.replace(minute=0, second=0, microsecond=0) - soon
