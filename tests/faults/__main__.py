"""Every fault under load, one after another, and a table at the end: `python -m tests.faults`."""

import argparse
import sys
import time

from tests.faults.every_fault import EVERY, Fault, NotHere, prove
from tests.faults.strike import LONG, SHORT
from tests.faults.table import table
from tests.faults.verdict import Verdict

_DETAILS = 20


def main() -> int:
    """The exit status is 1 when anything was overshot, lost or doubled."""
    names = [fault.name for fault in EVERY]
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=names, metavar="FAULT", help=", ".join(names))
    parser.add_argument("--short", action="store_true", help="twice instead of twenty times")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the random moments")
    parser.add_argument(
        "--mode", choices=("refuse", "ledger"), help="REDIS_AWAY; both unless given"
    )
    options = parser.parse_args()
    chosen = [fault for fault in EVERY if options.only is None or fault.name in options.only]
    lines = [(fault, False) for fault in chosen if options.mode != "ledger"]
    lines += [(fault, True) for fault in chosen if fault.of_redis and options.mode != "refuse"]
    print(f"seed {options.seed}", file=sys.stderr)
    verdicts: list[Verdict] = []
    for fault, ledger_mode in lines:
        verdict = _prove(fault, ledger_mode=ledger_mode, short=options.short, seed=options.seed)
        verdicts += [verdict] if verdict else []
    print(table(verdicts))
    return 0 if all(one.is_clean for one in verdicts) else 1


def _prove(fault: Fault, *, ledger_mode: bool, short: bool, seed: int) -> Verdict | None:
    began = time.monotonic()
    try:
        verdict = prove(fault, SHORT if short else LONG, ledger_mode=ledger_mode, seed=seed)
    except NotHere as reason:
        print(f"{fault.title}: left out, as {reason}", file=sys.stderr)
        return None
    print(table([verdict]).splitlines()[-1], file=sys.stderr)
    print(f"  in {time.monotonic() - began:.0f} s", file=sys.stderr)
    for detail in verdict.details[:_DETAILS]:
        print(f"  {detail}", file=sys.stderr, flush=True)
    return verdict


if __name__ == "__main__":
    sys.exit(main())
