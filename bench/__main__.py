"""`make bench`: measure the product and the yardstick in turn, and print both."""

import argparse
import json
import os
import sys

import uvloop

from bench.ledger import Ledger
from bench.report import as_json, checks, table
from bench.rounds import measure_all, requests_of
from bench.servers import (
    running_anthropic,
    running_double,
    running_passthrough,
    running_product,
    state_folder,
)


def main() -> int:
    """Run the benchmark; the exit status is 1 when a target was missed and --check given."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=3000, help="unary requests a round")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    parser.add_argument("--check", action="store_true", help="fail when a target is missed")
    options = parser.parse_args()
    _warn_of_company()
    with (
        state_folder() as var,
        running_double() as double,
        running_anthropic() as anthropic,
        running_product(double, anthropic, var) as (product, translated, running),
        running_passthrough(double) as yardstick,
    ):
        servers = (product, translated, yardstick)
        rounds = uvloop.run(measure_all(servers, options.rounds, options.requests))
        expected = 2 * requests_of(options.rounds, options.requests)
        _check_ledger(Ledger(running.dsn), expected)
    print(json.dumps(as_json(rounds), indent=2) if options.json else table(rounds))
    return 1 if options.check and not all(check.met for check in checks(rounds)) else 0


def _warn_of_company() -> None:
    """Say so when the machine is busy already: CPU figures hardly mind, latencies do."""
    load = os.getloadavg()[0]
    if load > 1:
        print(
            f"The machine is busy (load average {load:.1f}): latencies will show it.",
            file=sys.stderr,
        )


def _check_ledger(ledger: Ledger, expected: int) -> None:
    """Raise RuntimeError unless the product kept the books on every request of the benchmark."""
    if ledger.counts() != {"settled": expected}:
        raise RuntimeError(f"The ledger has {ledger.counts()} rows for {expected} requests.")


if __name__ == "__main__":
    sys.exit(main())
