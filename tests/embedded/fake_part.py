"""A part that does what its options say, and writes down what happens to it.

python -I -S fake_part.py --name NAME --events FILE --ready-fd N [--dies TIMES] ...
"""

import argparse
import os
import signal
import sys
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--name", required=True)
    parser.add_argument("--events", type=Path, required=True)
    parser.add_argument("--ready-fd", type=int, required=True)
    parser.add_argument("--dies", type=int, default=0, help="so many times, once it was ready")
    parser.add_argument("--never-ready", action="store_true", help="dies before it is")
    parser.add_argument("--stubborn", action="store_true", help="doesn't stop when asked to")
    options = parser.parse_args()

    def note(event: str) -> None:
        with options.events.open("a") as events:
            events.write(f"{options.name} {event} {os.getpid()}\n")

    def stop(*_: object) -> None:
        note("asked to stop")
        if not options.stubborn:
            note("stopped")
            sys.exit(0)

    signal.signal(signal.SIGTERM, stop)
    note("started")
    if options.never_ready:
        print("the config makes no sense", flush=True)
        sys.exit(3)
    note("ready")
    os.write(options.ready_fd, b"ready\n")
    if options.events.read_text().count(f"{options.name} started") <= options.dies:
        print("out of luck", flush=True)
        sys.exit(4)
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
