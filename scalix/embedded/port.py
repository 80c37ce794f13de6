"""Ports on loopback."""

import errno
import os
import socket
from hashlib import sha256
from pathlib import Path

from scalix.embedded.errors import EmbeddedError

LOOPBACK = "127.0.0.1"
_BACKLOG = 2048
_TRIES = 100
# Below the ports that the system gives to outgoing connections, any of which could take a part's
# while it is being restarted. A search that begins in one range never ends in the other.
_DEMO_MODEL_PORTS = range(20_000, 25_000 - _TRIES)
_PAYMENTS_PORTS = range(25_000, 30_000 - _TRIES)


def listen_near(port: int) -> socket.socket:
    """A socket that listens on `port`, or on the next one that is free."""
    for candidate in range(port, min(port + _TRIES, 65_536)):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        # Else a port is taken for minutes by its last visitors' closed connections.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOOPBACK, candidate))
            listener.listen(_BACKLOG)
        except OSError as error:
            listener.close()
            if error.errno == errno.EADDRINUSE:
                continue
            raise EmbeddedError(f"Cannot listen on port {candidate}: {error.strerror}.") from error
        return listener
    raise EmbeddedError(f"No free port from {port} to {candidate}. PORT names another start.")


def demo_model_port(var: Path) -> int:
    """A free port for the demo model of this state folder."""
    return _port_of_the_folders_own(var, _DEMO_MODEL_PORTS)


def payments_port(var: Path) -> int:
    """A free port for the payment sandbox of this state folder, the same at each start.

    Never the one that `demo_model_port` gives.
    """
    return _port_of_the_folders_own(var, _PAYMENTS_PORTS)


def _port_of_the_folders_own(var: Path, among: range) -> int:
    """The search begins at a number of the folder's own.

    Two folders that start at the same moment look at different ones.
    """
    offset = int.from_bytes(sha256(os.fsencode(var)).digest()[:4]) % len(among)
    with listen_near(among[offset]) as listener:
        port: int = listener.getsockname()[1]
    return port
