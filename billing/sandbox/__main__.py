"""`python -m billing.sandbox`: the sandbox, on the loopback interface only."""

import argparse
import os
from pathlib import Path

from aiohttp import web

from billing.sandbox.deliveries import PAUSES, Deliveries
from billing.sandbox.sandbox import Sandbox
from billing.sandbox.server import make_app
from billing.sandbox.store import Store


def main() -> None:
    """Serves until it is stopped; exit status 2 beside a live key."""
    parser = argparse.ArgumentParser(prog="python -m billing.sandbox")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--state", required=True)
    parser.add_argument("--key-file", type=Path, required=True)
    parser.add_argument("--secret-file", type=Path, required=True)
    parser.add_argument("--webhook", required=True)
    parser.add_argument("--ready-fd", type=int, default=None)
    parser.add_argument("--now", type=int, default=None, help="its clock, in seconds since 1970")
    parser.add_argument("--retry-pauses", type=_seconds, default=PAUSES, metavar="1,5,30")
    options = parser.parse_args()
    live = [
        name for name, value in os.environ.items() if value.startswith(("sk_live_", "rk_live_"))
    ]
    if live:
        parser.error(f"{live[0]} holds a live key; the sandbox does not run beside one")
    key = options.key_file.read_text().strip()
    if not key.startswith("sk_test_"):
        parser.error("the key must begin with sk_test_")
    store = Store(options.state)
    sandbox = Sandbox(store, f"http://127.0.0.1:{options.port}")
    if options.now is not None:
        sandbox.clock.set_to(options.now)
    secret = options.secret_file.read_text().strip()
    deliveries = Deliveries(store, options.webhook, secret, options.retry_pauses)
    app = make_app(sandbox, key, deliveries)

    def announce(*_: object) -> None:
        if options.ready_fd is not None:
            os.write(options.ready_fd, b"ready\n")
            os.close(options.ready_fd)

    web.run_app(
        app,
        host="127.0.0.1",
        port=options.port,
        print=announce,
        access_log=None,
        shutdown_timeout=1,  # calls may hang here on purpose
    )


def _seconds(text: str) -> tuple[float, ...]:
    return tuple(float(one) for one in text.split(","))


if __name__ == "__main__":
    main()
