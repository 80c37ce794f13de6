"""A door before a running Stripe, behind which calls can be held, refused or left to hang."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

_PATIENCE = 20.0


class Held:
    """A call that stands at the door, or whose answer does."""

    def __init__(self, method: str, *, answers: bool) -> None:
        self.method, self.answers = method, answers
        self._came, self._goes = threading.Event(), threading.Event()

    def await_call(self) -> None:
        """Returns when a call stands there."""
        assert self._came.wait(_PATIENCE), f"no {self.method} came"

    def let_go(self) -> None:
        """Lets it pass, and others."""
        self._goes.set()

    def stand(self) -> None:
        """Until it is let go."""
        self._came.set()
        self._goes.wait(_PATIENCE)


class StripeGate:
    """Passes calls on to the Stripe at `base`, unless it is told otherwise."""

    def __init__(self, base: str) -> None:
        self.behind = urlsplit(base).netloc
        self.calls: list[str] = []
        self.status: int | None = None
        """With which every call is answered instead of passing."""
        self.hangs = False
        """Whether calls are taken and not answered; those that wait then end with it."""
        self.delay = 0.0
        """Seconds that every answer takes."""
        self.most_at_once = 0
        """Calls that waited for an answer side by side."""
        self._waiting = 0
        self._counting = threading.Lock()
        self.held: Held | None = None
        self.over = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def base(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Counts a call as one that waits."""
        with self._counting:
            self._waiting += 1
            self.most_at_once = max(self.most_at_once, self._waiting)
        try:
            yield
        finally:
            with self._counting:
                self._waiting -= 1

    @contextmanager
    def hold(self, method: str, *, answers: bool = False) -> Iterator[Held]:
        """Holds calls of this method, or their answers.  At the end they come to nothing."""
        self.held = Held(method, answers=answers)
        try:
            yield self.held
        finally:
            self.held.let_go()
            self.held = None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, gate: StripeGate, *connection: Any) -> None:
        self._gate = gate
        super().__init__(*connection)

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except ConnectionError:  # the caller was killed or has given up
            self.close_connection = True

    def serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._gate.calls.append(f"{self.command} {self.path}")
        with self._gate.waiting():
            self._gate.over.wait(self._gate.delay)
        held = self._gate.held
        if held and held.method != self.command:
            held = None
        if held and not held.answers:
            held.stand()
            self.close_connection = True
        elif self._gate.hangs:
            while self._gate.hangs and not self._gate.over.wait(0.02):
                pass
            self.close_connection = True
        elif self._gate.status is not None:
            self._answer(self._gate.status, b'{"error": {"type": "api_error", "message": "no"}}')
        else:
            self._pass_on(body, held)

    do_GET = do_POST = do_DELETE = serve  # noqa: N815  (http.server's names)

    def _pass_on(self, body: bytes, held: Held | None) -> None:
        behind = http.client.HTTPConnection(self._gate.behind, timeout=_PATIENCE)
        headers = {key: value for key, value in self.headers.items() if key != "Host"}
        behind.request(self.command, self.path, body, headers)
        answer = behind.getresponse()
        found = answer.read()
        behind.close()
        if held and held.answers:
            held.stand()
        self._answer(answer.status, found)

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Says nothing."""
