"""The double's routes and its event loop."""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson
import uvloop

from tests.upstream import answers
from tests.upstream.calls import CallLog
from tests.upstream.chat import Chat, Gates
from tests.upstream.embeddings import embed
from tests.upstream.script import Script, ScriptError, parse_settings
from tests.upstream.wire import Connection, Request


class Double:
    """The server: OpenAI's routes under /v1, its own controls under /control."""

    def __init__(
        self,
        *,
        models: Sequence[str],
        api_key: str | None = None,
        log_path: Path | None = None,
    ) -> None:
        self._models = models
        self._api_key = api_key
        self._log = CallLog(log_path)
        self._gates = Gates()
        self._chat = Chat(self._log, self._gates)

    def handle(self, request: Request, connection: Connection) -> None:
        """Answer one request."""
        route = (request.method, request.path)
        key = request.authorization.removeprefix("Bearer ")
        if request.path.startswith("/control/"):
            self._control(request, connection)
        elif self._api_key is not None and key != self._api_key:
            _say(connection, answers.error(401, "Incorrect API key provided."), 401)
        elif route == ("POST", "/v1/chat/completions"):
            self._chat.handle(key, request.body, connection)
        elif route == ("POST", "/v1/embeddings"):
            embed(self._log, key, request.body, connection)
        elif route == ("GET", "/v1/models"):
            _say(connection, answers.model_list(self._models))
        elif (name := request.path.removeprefix("/v1/models/")) in self._models:
            _say(connection, answers.model(name))
        else:
            _say(connection, answers.error(404, f"No such thing: {request.path}"), 404)

    def _control(self, request: Request, connection: Connection) -> None:
        """What the tests read and set; a control call is never in the log."""
        if request.path == "/control/arrival":
            connection.run(self._tell_arrival(orjson.loads(request.body)["id"], connection))
            return
        commands: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "/control/log": lambda _: self._log.report(),
            "/control/gauges": lambda _: self._log.gauges(),
            "/control/script": self._set_default,
            "/control/release": self._release,
            "/control/reset": self._reset,
        }
        command = commands.get(request.path)
        if command is None:
            _say(connection, answers.error(404, f"No such control: {request.path}"), 404)
            return
        try:
            _say(connection, command(orjson.loads(request.body or b"{}")))
        except ScriptError as error:
            _say(connection, answers.error(400, str(error)), 400)

    async def _tell_arrival(self, call_id: str, connection: Connection) -> None:
        await self._log.arrival(call_id)
        _say(connection, {})

    def _set_default(self, settings: dict[str, Any]) -> dict[str, Any]:
        self._chat.default = parse_settings(settings, Script())
        return asdict(self._chat.default)

    def _release(self, names: dict[str, Any]) -> dict[str, Any]:
        self._gates[names["hold"]].set()
        return {}

    def _reset(self, _: dict[str, Any]) -> dict[str, Any]:
        self._chat.default = Script()
        self._log.reset()
        self._gates.reset()
        return {}


def _say(connection: Connection, body: dict[str, Any], status: int = 200) -> None:
    connection.respond(status, orjson.dumps(body))


async def _serve(double: Double, host: str, port: int, ready: Callable[[int], None]) -> None:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    server = await loop.create_server(
        lambda: Connection(double.handle), host, port, backlog=4096, reuse_address=True
    )
    ready(server.sockets[0].getsockname()[1])
    await stopped.wait()
    server.close()


def serve(double: Double, host: str, port: int, ready: Callable[[int], None]) -> None:
    """Run until SIGINT or SIGTERM. Calls `ready` with the port once it listens."""
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(_serve(double, host, port, ready))
