"""A time by which a stream has to end, at the cost of one timer for all of its chunks."""

import asyncio
from collections.abc import AsyncGenerator
from types import TracebackType
from typing import Self, TypeVar

_Item = TypeVar("_Item")


class ReaderTooSlow(Exception):
    """The time came while the stream waited for its reader, and not its reader for the stream."""


class Deadline:
    """Breaks off the wait that is under way when the time comes, and refuses any later one.

    Not `asyncio.timeout` around the stream: between two waits the stream's reader runs, who may
    be in another task by then, and it is not to be struck.  Nor one around each wait: that was a
    fifth of a chunk's cost.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._passed = asyncio.Event()
        self._waiting: asyncio.Task[object] | None = None

    def __enter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(self._seconds, self._pass)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._timer.cancel()

    async def next_of(self, items: AsyncGenerator[_Item, None]) -> _Item | None:
        """The next item, None after the last; TimeoutError, ReaderTooSlow when the time came."""
        if self._passed.is_set():
            raise ReaderTooSlow
        self._waiting = task = asyncio.current_task(self._loop)  # looking for it is a system call
        try:
            return await anext(items, None)
        except asyncio.CancelledError:
            # By us alone it is a timeout; by somebody else as well, it is theirs.
            if self._passed.is_set() and task is not None and task.uncancel() == 0:
                raise TimeoutError from None
            raise
        finally:
            self._waiting = None

    def _pass(self) -> None:
        self._passed.set()
        if self._waiting is not None:
            self._waiting.cancel()
