"""Waiting for what nobody announces."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

_PATIENCE_SECONDS: Final = 10.0


async def until(
    condition: Callable[[], Awaitable[object]], patience: float = _PATIENCE_SECONDS
) -> None:
    """Returns when the condition holds; TimeoutError when that takes too long.

    `patience`, in seconds, is for what takes long: it is no measure of how soon something comes.
    """
    async with asyncio.timeout(patience):
        while not await condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def not_at_all(seconds: float) -> None:
    """In place of asyncio.sleep, where nothing happens meanwhile."""
