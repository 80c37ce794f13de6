"""Waiting for what nobody announces."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

_PATIENCE_SECONDS: Final = 10.0


async def until(condition: Callable[[], Awaitable[object]]) -> None:
    """Returns when the condition holds; TimeoutError when that takes too long."""
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while not await condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
