"""The HTTP side: keys, idempotency, routes."""

import asyncio
import base64
import contextlib
import hmac
import json
from collections.abc import AsyncIterator
from dataclasses import asdict
from urllib.parse import parse_qsl, urlencode

from aiohttp import web

from billing.sandbox import cycle
from billing.sandbox.calls import CALLS, KINDS
from billing.sandbox.deliveries import Deliveries
from billing.sandbox.errors import ApiError
from billing.sandbox.reading import expand, listed, nested
from billing.sandbox.sandbox import Sandbox, shown
from billing.sandbox.store import Object, new_id


class Server:
    """The sandbox behind its key."""

    def __init__(self, sandbox: Sandbox, key: str) -> None:
        self.sandbox, self.key = sandbox, key

    async def v1(self, request: web.Request) -> web.Response:
        """Any call of the API."""
        text = (await request.text()) or request.query_string
        pairs = parse_qsl(text, keep_blank_values=True)
        try:
            self._authorize(request)
            status, body = 200, self._once(request, pairs)
        except ApiError as error:
            status, body = error.status, error.body()
        return web.json_response(body, status=status, headers={"Request-Id": new_id("req")})

    def _authorize(self, request: web.Request) -> None:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme == "Basic":
            with contextlib.suppress(ValueError):
                given = base64.b64decode(given).decode().partition(":")[0]
        if not hmac.compare_digest(given.encode(), self.key.encode()):
            raise ApiError("Invalid API Key provided.", status=401)

    def _once(self, request: web.Request, pairs: list[tuple[str, str]]) -> Object:
        """The answer; the stored one where this idempotency key has been used."""
        store, name = self.sandbox.store, request.headers.get("Idempotency-Key", "")
        asked = f"{request.method} {request.path} {urlencode(sorted(pairs))}"
        with store.transaction():
            row = store.db.execute(
                "SELECT request, body FROM replies WHERE key = ?", (name,)
            ).fetchone()
            if name and row:
                if row[0] != asked:
                    raise ApiError("This key was used with other parameters.", "idempotency_error")
                stored: Object = json.loads(row[1])
                return stored
            body = self._answer(request.method, request.match_info["path"], nested(pairs))
            if name and request.method == "POST":
                store.db.execute(
                    "INSERT INTO replies VALUES (?, ?, 200, ?)", (name, asked, json.dumps(body))
                )
        return body

    def _answer(self, method: str, path: str, params: dict[str, object]) -> Object:
        wanted = params.pop("expand", []) if method != "GET" else params.get("expand", [])
        assert isinstance(wanted, list)
        found = self._found(method, path, params)
        for one in wanted:
            expand(self.sandbox, found, str(one).split("."))
        return found

    def _found(self, method: str, path: str, params: dict[str, object]) -> Object:
        if method == "GET" and path in KINDS:
            return listed(self.sandbox, path, KINDS[path], params)
        parent, _, object_id = path.rpartition("/")
        if method == "GET" and parent in KINDS:
            if KINDS[parent] == "checkout.session":
                self.sandbox.session(object_id)  # it may have to expire first
            return shown(self.sandbox.need(KINDS[parent], object_id))
        for (verb, pattern), call in CALLS.items():
            begin, star, end = pattern.partition("*")
            middle = path[len(begin) : len(path) - len(end)] if star else ""
            fits = path == begin + middle + end and bool(star) == bool(middle)
            if verb == method and fits and "/" not in middle:
                return shown(call(self.sandbox, params, middle))
        raise ApiError(f"Unrecognized request URL ({method}: /v1/{path}).", status=404)

    async def pay(self, request: web.Request) -> web.Response:
        """Pays a session as its page would."""
        try:
            self._authorize(request)
        except ApiError as error:
            return web.json_response(error.body(), status=error.status)
        asked = await request.json()
        with self.sandbox.store.transaction():
            payment = self.sandbox.pay(
                asked["session"], asked["number"], asked.get("expiry", "12/40"), "123"
            )
        return web.json_response(asdict(payment))

    async def advance(self, request: web.Request) -> web.Response:
        """Moves the sandbox's clock on."""
        try:
            self._authorize(request)
        except ApiError as error:
            return web.json_response(error.body(), status=error.status)
        seconds = int((await request.json())["advance"])
        with self.sandbox.store.transaction():
            cycle.advance(self.sandbox, seconds)
        return web.json_response({"now": self.sandbox.clock.now()})


def make_app(sandbox: Sandbox, key: str, deliveries: Deliveries) -> web.Application:
    """The whole server."""
    server, app = Server(sandbox, key), web.Application()
    app.router.add_route("*", "/v1/{path:.+}", server.v1)
    app.router.add_post("/sandbox/pay", server.pay)
    app.router.add_post("/sandbox/clock", server.advance)

    async def deliver(_: web.Application) -> AsyncIterator[None]:
        task = asyncio.create_task(deliveries.run())
        yield
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    app.cleanup_ctx.append(deliver)
    return app
