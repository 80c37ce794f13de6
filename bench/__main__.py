"""`make bench`: measure the product and the yardstick in turn, and print both.

Each round takes a turn at each server, so that whatever else the machine does falls on both.
"""

import argparse
import json
import sys

import uvloop

from bench.ledger import Ledger
from bench.measure import STREAMS, Server, measure_streams, measure_unary
from bench.report import Rounds, as_json, checks, table
from bench.servers import running_double, running_passthrough, running_product, state_folder

LATENCY = 0.005
"""The upstream's, in seconds, for the unary rounds: an answer is never there at once."""

WARM_UP_REQUESTS = 1000


def main() -> int:
    """Run the benchmark; the exit status is 1 when a target was missed and --check given."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=3000, help="unary requests a round")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    parser.add_argument("--check", action="store_true", help="fail when a target is missed")
    options = parser.parse_args()
    with (
        state_folder() as var,
        running_double() as double,
        running_product(double, var) as (product, running),
        running_passthrough(double) as yardstick,
    ):
        servers = (product, yardstick)
        rounds = uvloop.run(_measure(servers, options.rounds, options.requests))
        _check_ledger(Ledger(running.dsn), options.rounds, options.requests)
    print(json.dumps(as_json(rounds), indent=2) if options.json else table(rounds))
    return 1 if options.check and not all(check.met for check in checks(rounds["product"])) else 0


async def _measure(servers: tuple[Server, ...], count: int, requests: int) -> dict[str, Rounds]:
    rounds = {server.name: Rounds() for server in servers}
    for server in servers:  # connections, caches, the interpreter's own
        await measure_unary(server, requests=WARM_UP_REQUESTS, latency=0)
    for number in range(1, count + 1):
        print(f"round {number} of {count}", file=sys.stderr, flush=True)
        for server in servers:
            kept = rounds[server.name]
            kept.unary.append(await measure_unary(server, requests=requests, latency=LATENCY))
            kept.instant.append(await measure_unary(server, requests=requests, latency=0))
            kept.streams.append(await measure_streams(server))
    return rounds


def _check_ledger(ledger: Ledger, rounds: int, requests: int) -> None:
    """Raise RuntimeError unless the product kept the books on every request of the benchmark.

    Two unary loads a round, and a short and a long one of streams.
    """
    expected = {"settled": WARM_UP_REQUESTS + rounds * 2 * (requests + STREAMS)}
    if ledger.counts() != expected:
        raise RuntimeError(f"The ledger has {ledger.counts()}, and it should have {expected}.")


if __name__ == "__main__":
    sys.exit(main())
