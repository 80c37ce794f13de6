"""Where a request comes from: its network address, told by proxies that we trust, if any."""

import logging
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest

logger = logging.getLogger(__name__)

Network = IPv4Network | IPv6Network


@lru_cache
def _warn_of_untrusted(peer: str) -> None:
    """Once a peer: every visitor behind it counts as one."""
    logger.warning(
        "%s sends X-Forwarded-For and is no trusted proxy: all that comes through it counts as one"
        " network address; if it is a proxy of yours, name it in TRUSTED_PROXIES",
        peer,
    )


def address_of(request: HttpRequest) -> str | None:
    """Where a request comes from, as the proxies in TRUSTED_PROXIES tell it."""
    peer, forwarded_for = (
        request.META.get(name, "") for name in ("REMOTE_ADDR", "HTTP_X_FORWARDED_FOR")
    )
    return client_address(peer, forwarded_for, settings.TRUSTED_PROXIES)


def client_address(peer: str, forwarded_for: str, trusted: Iterable[Network]) -> str | None:
    """The client's address; None where there is none that makes sense, as on a unix socket.

    `peer` is who connected to us.  Each proxy adds on the right whom it heard from, so the list is
    read from there, and no further than the first that is no trusted proxy: what stands left of it
    is a client's own word.
    """
    address = parsed(peer)
    if address is None:
        return None
    if forwarded_for and not _is_in(address, trusted):
        _warn_of_untrusted(address)
    for hop in reversed(forwarded_for.split(",") if forwarded_for else []):
        if not _is_in(address, trusted):
            break
        nearer = parsed(hop.strip())
        if nearer is None:  # a trusted proxy that writes nonsense: its own address is all we know
            break
        address = nearer
    return address


@lru_cache(10_000)  # asked for several times in a request
def network_of(address: str | None) -> str | None:
    """What limits count as one: an IPv4 address, or the first of an IPv6 /64, which is one line."""
    if address is None or ":" not in address:
        return address
    return str(ip_network(f"{address}/64", strict=False).network_address)


@lru_cache(10_000)  # of every request, and few differ
def parsed(text: str) -> str | None:
    """The address in its usual form, with or without brackets, port or zone; None for no address.

    One of IPv4 that is written as IPv6 is the IPv4 one.
    """
    host = text.strip()
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


def _is_in(address: str, networks: Iterable[Network]) -> bool:
    found = ip_address(address)
    return any(found in network for network in networks)
