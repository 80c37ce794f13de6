"""The whole server: API, pages, control, and what goes on behind them."""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable
from typing import Final

from aiohttp import web

from billing.sandbox import control, cycle, pages
from billing.sandbox.api import Api
from billing.sandbox.deliveries import Deliveries
from billing.sandbox.errors import ApiError
from billing.sandbox.sandbox import Sandbox

logger = logging.getLogger(__name__)

_CATCH_UP_SECONDS: Final = 1.0
_DELIVER_SECONDS: Final = 0.1


def make_app(sandbox: Sandbox, key: str, deliveries: Deliveries) -> web.Application:
    """Everything; `key` is the one that is accepted."""
    app, api = web.Application(), Api(sandbox, key)
    app.router.add_route("*", "/v1/{path:.+}", api.v1)
    control.add_control(app, api, deliveries)
    pages.add_pages(app, sandbox)

    def catch_up() -> None:
        with sandbox.store.transaction():
            cycle.catch_up(sandbox)

    async def work(_: web.Application) -> AsyncIterator[None]:
        async with deliveries:
            tasks = [
                asyncio.create_task(_every(_CATCH_UP_SECONDS, catch_up)),
                asyncio.create_task(_every(_DELIVER_SECONDS, deliveries.begin)),
            ]
            yield
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    app.cleanup_ctx.append(work)
    return app


async def _every(seconds: float, act: Callable[[], None]) -> None:
    """Acts again and again; what can't be done now, as on a full disk, is tried again."""
    while True:
        try:
            act()
        except (sqlite3.Error, ApiError):
            logger.exception("the sandbox could not do what is due")
        await asyncio.sleep(seconds)
