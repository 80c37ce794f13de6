"""One Celery process: `python -m scalix.embedded.celery_process worker|beat ...`.

The same as `celery -A scalix ...`, but it tells the supervisor when it is ready.
"""

import argparse
import sys
import warnings
from typing import Any

from celery import signals
from celery.bin.celery import celery
from celery.platforms import SecurityWarning

from scalix.embedded.announce import add_ready_option, announce_ready


def main() -> None:
    """Run Celery's own command line until it is stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_ready_option(parser)
    options, arguments = parser.parse_known_args()

    def announce(**_: Any) -> None:
        announce_ready(options.ready_fd)

    # It warns root of pickled tasks that anybody might send. Ours are JSON, on a private socket.
    warnings.simplefilter("ignore", SecurityWarning)
    signals.worker_ready.connect(announce)
    signals.beat_init.connect(announce)
    sys.exit(celery.main(args=["--app", "scalix", "--quiet", *arguments], prog_name="celery"))


if __name__ == "__main__":
    main()
