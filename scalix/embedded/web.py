"""One web process: uvicorn on a listening socket that it inherits.

    python -m scalix.embedded.web --fd N

The supervisor holds the socket, so that connections wait in its queue while a web process is
replaced. uvicorn's own `--fd` takes any descriptor for a unix socket; given as a socket of its
true family, TCP options and client addresses are those of TCP.
"""

import argparse
import socket

import uvicorn

from scalix.embedded.announce import add_ready_option, announce_ready

GRACE_SECONDS = 10
"""How long answers in progress may go on after a stop is asked for."""


class _AnnouncingServer(uvicorn.Server):  # type: ignore[misc]  # untyped for mypy: pyproject
    def __init__(self, config: uvicorn.Config, ready_fd: int | None) -> None:
        super().__init__(config)
        self._ready_fd = ready_fd

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        announce_ready(self._ready_fd)


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fd", type=int, required=True, help="the inherited listening socket")
    add_ready_option(parser)
    options = parser.parse_args()
    config = uvicorn.Config(
        "scalix.asgi:application",
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # whom to believe about addresses is TRUSTED_PROXIES' to say
        log_level="warning",
        log_config=None,  # Django's settings decide where log lines go
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    _AnnouncingServer(config, options.ready_fd).run([socket.socket(fileno=options.fd)])


if __name__ == "__main__":
    main()
