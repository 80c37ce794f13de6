"""`python -m bench.webhooks`: how long Stripe waits for an answer to a webhook while it is silent.

The product runs as `make run` starts it, configured with a Stripe that takes calls and never
answers, which its worker keeps waiting for.  Each webhook is signed and new, and makes the worker
ask Stripe something.
"""

import argparse
import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import orjson
import psycopg
import uvloop
from stripe import WebhookSignature

from bench.connection import LoadConnection, Reply
from bench.product import Product
from bench.servers import state_folder
from billing.payments.stripe_api import API_VERSION

TARGET_MS: Final = 500.0
_SECRET: Final = "whsec_of_the_benchmark"


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured; latencies in milliseconds."""

    webhooks: int
    connections: int
    p50: float
    p99: float
    longest: float
    webhooks_per_second: float
    calls_that_stripe_did_not_answer: int


class SilentStripe(asyncio.Protocol):
    """Takes connections and never says anything."""

    calls = 0

    @classmethod
    async def start(cls) -> str:
        """Its address."""
        server = await asyncio.get_running_loop().create_server(cls, "127.0.0.1", 0)
        return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    def connection_made(self, _: asyncio.BaseTransport) -> None:
        """For asyncio."""
        SilentStripe.calls += 1


def webhook(address: str, number: int) -> bytes:
    """The bytes of a signed delivery: a dispute, whose customer the worker has to ask for."""
    event: dict[str, Any] = {
        "id": f"evt_bench_{number}",
        "object": "event",
        "api_version": API_VERSION,
        "created": int(time.time()),
        "livemode": False,
        "type": "charge.dispute.created",
        "data": {"object": {"id": f"dp_{number}", "object": "dispute", "charge": f"ch_{number}"}},
    }
    body = orjson.dumps(event)
    signature = WebhookSignature.generate_signature_header(body.decode(), _SECRET)
    head = (
        f"POST /billing/webhook/ HTTP/1.1\r\nHost: {urlsplit(address).netloc}\r\n"
        f"Content-Type: application/json\r\nStripe-Signature: {signature}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def deliver(address: str, *, webhooks: int, connections: int) -> list[Reply]:
    """Delivers so many over so many connections. Raises RuntimeError where one is not a 200."""
    numbers = iter(range(webhooks))
    replies: list[Reply] = []

    async def keep_busy(connection: LoadConnection) -> None:
        for number in numbers:
            reply = await connection.exchange(webhook(address, number))
            if reply.status != 200:
                raise RuntimeError(f"{reply.status}: {reply.body[:500]!r}")
            replies.append(reply)

    opened = [await LoadConnection.to(address) for _ in range(connections)]
    async with asyncio.TaskGroup() as group:
        for connection in opened:
            group.create_task(keep_busy(connection))
    for connection in opened:
        connection.close()
    return replies


async def measure(var: Path, *, webhooks: int, connections: int) -> Figures:
    """Starts the product beside a silent Stripe and measures it."""
    settings = {
        "STRIPE_SECRET_KEY": "sk_test_of_the_benchmark",
        "STRIPE_WEBHOOK_SECRET": _SECRET,
        "STRIPE_API_BASE": await SilentStripe.start(),
    }
    nobody = "http://127.0.0.1:9/v1"
    with await asyncio.to_thread(Product, var, upstream=nobody, settings=settings) as product:
        replies = await deliver(product.address, webhooks=webhooks, connections=connections)
        kept = await asyncio.to_thread(_kept, product.dsn)
    if kept != {"pending": webhooks}:
        raise RuntimeError(f"The inbox has {kept} for {webhooks} webhooks.")
    took = sorted(1000 * reply.seconds for reply in replies)
    lasted = max(reply.ended for reply in replies) - min(reply.started for reply in replies)
    return Figures(
        webhooks=webhooks,
        connections=connections,
        p50=took[len(took) // 2],
        p99=took[min(len(took) - 1, len(took) * 99 // 100)],
        longest=took[-1],
        webhooks_per_second=webhooks / lasted,
        calls_that_stripe_did_not_answer=SilentStripe.calls,
    )


def _kept(dsn: str) -> dict[str, int]:
    query = "SELECT state, count(*) FROM billing_webhookevent GROUP BY state"
    with psycopg.connect(dsn) as connection:
        return dict(connection.execute(query).fetchall())


def main() -> int:
    """Measure and print; with --check the status is 1 at a missed target or an idle worker."""
    parser = argparse.ArgumentParser(prog="python -m bench.webhooks", description=__doc__)
    parser.add_argument("--webhooks", type=int, default=1000)
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--check", action="store_true", help="fail at a p99 over the target")
    options = parser.parse_args()
    with state_folder() as var:
        figures = uvloop.run(
            measure(var, webhooks=options.webhooks, connections=options.connections)
        )
    print(json.dumps(asdict(figures), indent=2))
    was_silent = figures.calls_that_stripe_did_not_answer > 0  # or nothing was measured
    return 1 if options.check and (figures.p99 >= TARGET_MS or not was_silent) else 0


if __name__ == "__main__":
    sys.exit(main())
