"""The sandbox's server in a thread: real HTTP, and no process to wait for."""

import asyncio
import socket
import threading
from pathlib import Path
from typing import Self

from aiohttp import web

from billing.sandbox.deliveries import Deliveries
from billing.sandbox.sandbox import Sandbox
from billing.sandbox.server import make_app
from billing.sandbox.store import Store

KEY = "sk_test_only"
SECRET = "whsec_only"
NOBODY = "http://127.0.0.1:9/"


class RunningSandbox:
    """Runs from `with` to its end.  `now`: what its clock shows at the beginning."""

    def __init__(self, state: Path, *, webhook: str = NOBODY, now: int | None = None) -> None:
        self._state, self._webhook, self._now = state, webhook, now
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.base = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10), "the sandbox did not start"
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()

    async def _serve(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        store = Store(str(self._state))  # SQLite's connections stay in their thread
        sandbox = Sandbox(store, self.base)
        if self._now is not None:
            sandbox.clock.set_to(self._now)
        deliveries = Deliveries(store, self._webhook, SECRET, pauses=[0.05])
        runner = web.AppRunner(make_app(sandbox, KEY, deliveries), shutdown_timeout=0.1)
        await runner.setup()
        await web.SockSite(runner, self._socket).start()
        self._ready.set()
        await self._end.wait()
        await runner.cleanup()
        store.db.close()
