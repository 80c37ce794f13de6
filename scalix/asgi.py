"""The ASGI entry: the API through its lean handler, pages and admin through Django's own."""

import os
from contextlib import AsyncExitStack
from typing import Any, Final

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "scalix.settings")
_pages = get_asgi_application()

# Models need Django's set-up above.
from gateway import runtime  # noqa: E402
from gateway.api.handler import GatewayHandler, Receive, Scope, Send  # noqa: E402
from scalix.celery import app as _celery  # noqa: E402, F401  (pages send tasks to its broker)

_api = GatewayHandler("gateway.api.urls")
_API_PATHS: Final = ("/v1", "/api/v1", "/openapi.json", "/healthz", "/readyz")
# What OpenAI clients call when their base URL lacks the /v1.
_MISTAKEN_PATHS: Final = ("/chat/completions", "/completions", "/embeddings", "/responses")


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """One connection's worth of ASGI."""
    if scope["type"] == "http":
        if _is_for_the_api(scope):
            await _api(scope, receive, send)
        else:
            await _pages(scope, receive, send)  # type: ignore[arg-type]
    elif scope["type"] == "lifespan":
        await _lifespan(receive, send)


def _is_for_the_api(scope: Scope) -> bool:
    """Whether a program asks, which wants JSON even where there is nothing.

    Whoever sends a token does: a base URL can be mistaken in more ways than can be listed.
    """
    return scope["path"].startswith(_API_PATHS + _MISTAKEN_PATHS) or any(
        name == b"x-api-key" or (name == b"authorization" and value[:7].lower() == b"bearer ")
        for name, value in scope["headers"]
    )


async def _lifespan(receive: Receive, send: Send) -> None:
    """Starts the gateway before the first request and settles everything after the last."""
    async with AsyncExitStack() as stack:
        await receive()
        try:
            await stack.enter_async_context(runtime.running())
        except Exception as error:  # noqa: BLE001  (the server says it, and ends)
            await send({"type": "lifespan.startup.failed", "message": _reason(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
    await send({"type": "lifespan.shutdown.complete"})


def _reason(error: Any) -> str:
    return f"{type(error).__name__}: {error}"
