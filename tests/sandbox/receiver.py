"""Where webhooks arrive: a small server that answers as it is told."""

import queue
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import stripe

from tests.sandbox.running import SECRET


class Receiver:
    """Takes webhooks from `with` to its end."""

    def __init__(self) -> None:
        self.arrived: queue.Queue[dict[str, Any]] = queue.Queue()
        self.answers: queue.Queue[int] = queue.Queue()
        """The next answers' statuses; 200 where there is none."""
        self.slow = threading.Event()
        """Set: invoices' webhooks are not answered until `go` is."""
        self.go = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.address = f"http://127.0.0.1:{self._server.server_port}/webhook/"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.go.set()
        self._server.shutdown()
        self._server.server_close()

    def next(self) -> dict[str, Any]:
        """The next event, once it has arrived; its signature is right."""
        return self.arrived.get(timeout=10)

    def until(self, kind: str) -> dict[str, Any]:
        """The next event of this type; those before it are passed over."""
        while (event := self.next())["type"] != kind:
            pass
        return event

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                signature = self.headers["Stripe-Signature"]
                stripe.WebhookSignature.verify_header(body, signature, SECRET, 300)
                event = stripe.Webhook.construct_event(body, signature, SECRET).to_dict()
                if receiver.slow.is_set() and event["type"].startswith("invoice."):
                    receiver.go.wait(30)
                receiver.arrived.put(event)
                try:
                    status = receiver.answers.get_nowait()
                except queue.Empty:
                    status = 200
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        return Handler
