"""How a part of ours tells the supervisor that it is ready.

The supervisor adds `--ready-fd N` to the command of every part that it cannot ask. Only that
process holds the descriptor, so two web processes behind one socket are told apart.
"""

import argparse
import os


def add_ready_option(parser: argparse.ArgumentParser) -> None:
    """Understand `--ready-fd`; without it, as when started by hand, nobody waits."""
    parser.add_argument(
        "--ready-fd", type=int, default=None, help="descriptor to write to when ready"
    )


def announce_ready(ready_fd: int | None) -> None:
    """Say so, once."""
    if ready_fd is not None:
        os.write(ready_fd, b"ready\n")
        os.close(ready_fd)
