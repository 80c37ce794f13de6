"""No connection to a private address, whoever makes it: the check is at the socket.

litellm reaches providers by five libraries (aiohttp, httpx, OpenAI's, requests, boto3), takes a
client of ours for a third of them, and asks some addresses that nobody gave it.  So the check is
where all of them end: Python tells an audit hook of each `connect`, with the address that is
connected to, after every name, redirect and notation, and an error of the hook's prevents it.
"""

import functools
import logging
import sys
from contextvars import ContextVar, Token
from ipaddress import ip_address
from types import TracebackType
from typing import Any, Final

from gateway.errors import ProviderUnavailable
from gateway.providers import failures
from gateway.providers.reachability import SETTING, Reachability
from gateway.types import Target

logger = logging.getLogger(__name__)


class AddressRefused(OSError):
    """The connection that was to be made leads to where none may."""


class CheckedConnections:
    """For as long as a `with` lasts, what this task and its threads connect to is checked.

    Of one call of one deployment.  Left while whoever reads a stream does something else: the same
    task connects to our own stores then.

    A ProviderUnavailable that leaves the `with` becomes the refusal that it comes from: aiohttp,
    litellm and the libraries under it all make something else of it.
    """

    def __init__(self, target: Target, reachability: Reachability) -> None:
        _hear_of_connections()
        self._deployment = target.deployment
        self._reachability = reachability
        self._private_port = reachability.allows_name(target.base_url)
        self._token: Token[CheckedConnections | None] | None = None
        self._refused = False  # the latest that was to be made

    def __enter__(self) -> None:
        self._token = _checked.set(self)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._token is not None
        _checked.reset(self._token)
        if self._refused and isinstance(error, ProviderUnavailable):
            raise failures.private_address() from error

    def check(self, address: object) -> None:
        """Raises AddressRefused for what may not be connected to, as `socket.connect` has it."""
        self._refused = not self._is_allowed(address)
        if self._refused:
            logger.warning(
                "%s may not be called at %s: it is no public address, and %s does not allow it",
                self._deployment,
                address,
                SETTING,
            )
            raise AddressRefused("not a public address")

    def _is_allowed(self, address: object) -> bool:
        match address:
            case (str(host), int(port), *_):
                pass
            case _:  # a unix socket's path, say
                return False
        try:
            numeric = ip_address(host)
        except ValueError:  # a name, which would be resolved after this check
            return False
        return self._reachability.allows(numeric, port, private_port=self._private_port)


_checked: Final[ContextVar[CheckedConnections | None]] = ContextVar("checked", default=None)


@functools.cache
def _hear_of_connections() -> None:
    """Once a process: a hook can't be removed, and where nothing is checked it does nothing."""
    sys.addaudithook(_audit)


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.connect" and (checked := _checked.get()) is not None:
        checked.check(arguments[1])
