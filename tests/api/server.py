"""The API on a loopback port, served by uvicorn's own protocol in the test's event loop."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from scalix.asgi import application


@asynccontextmanager
async def serving(state: ServerState) -> AsyncIterator[str]:
    """Serves `scalix.asgi.application`, without its lifespan; the value is its address.

    uvicorn's own Server would take 0.1 s to stop; what talks HTTP is the same.  `state` gets its
    connections and the tasks of its requests.
    """
    config = uvicorn.Config(
        application, lifespan="off", ws="none", access_log=False, proxy_headers=False
    )
    config.load()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: HttpToolsProtocol(config, state, {}, loop), "127.0.0.1", 0, family=socket.AF_INET
    )
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for connection in list(state.connections):
            connection.transport.abort()
        if state.tasks:  # they notice, and settle
            await asyncio.wait(state.tasks, timeout=10)
