"""Wait for what another process brings about."""

import time
from collections.abc import Callable

PATIENCE_SECONDS = 20.0


def eventually(true: Callable[[], object], what: str) -> None:
    """Return once `true()` holds; fail, saying what was waited for, if it never does."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < deadline, f"waited in vain for: {what}"
        time.sleep(0.01)
