"""Which addresses providers may be called at: every public one, and private ones that are allowed.

Whoever runs Scalix allows them, in the environment: by PROVIDER_PRIVATE_HOSTS, and by each
provider's address that is given there.  What staff type in the admin allows nothing.
"""

import re
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final, Self
from urllib.parse import SplitResult, urlsplit

from django.conf import settings

SETTING: Final = "PROVIDER_PRIVATE_HOSTS"

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_PORTS: Final = {"http": 80, "https": 443}
_ADDRESS_VARIABLE: Final = ("_URL", "_API_BASE")
_NAME: Final = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")
_ENDS_IN_A_NUMBER: Final = re.compile(r"(.*\.)?(0x[0-9a-f]*|[0-9]+)")  # so it means an address
_LOOPBACK: Final = (ip_network("127.0.0.1"), ip_network("::1"))

# What `ipaddress` calls global, here or in another release of Python, and no provider is at.
# Source: IANA's special-purpose address registries; the clouds' documentation.
_NOT_PUBLIC: Final = tuple(
    ip_network(network)
    for network in (
        "168.63.129.16",  # Azure's, on the machine's own host
        "192.0.0.0/24",  # protocol assignments, with Oracle Cloud's metadata
        "192.88.99.0/24",  # relays of 6to4
        "224.0.0.0/3",  # multicast, reserved, broadcast
        "2001::/23",  # Teredo and other protocols
        "2002::/16",  # 6to4: an IPv4 address inside
        "3fff::/20",  # documentation
    )
)
_GLOBAL_UNICAST: Final = ip_network("2000::/3")
_NAT64: Final = ip_network("64:ff9b::/96")

# Where a name that is allowed may lead: into one's own network, and not to what clouds keep
# their credentials at, whatever the name resolves to.  Such an address has to be named itself.
_ONES_OWN: Final = tuple(
    ip_network(network)
    for network in (
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "::1/128",
        "fc00::/7",
    )
)
_CLOUD_METADATA: Final = frozenset(
    ip_address(address) for address in ("100.100.100.200", "fd00:ec2::254", "fd20:ce::254")
)


@dataclass(frozen=True, slots=True)
class PrivateHost:
    """What is allowed: the addresses of a network or those of a name, at one port or at all."""

    network: Network | None
    name: str
    port: int | None

    @classmethod
    def read(cls, text: str) -> tuple[Self, ...]:
        """What one entry allows: a name, an address or a network, and perhaps `:port` after it.

        IPv6 stands in brackets if a port follows.  ValueError says what can't be read.
        """
        host, port = _host_and_port(text.strip().lower())
        if host == "localhost":  # RFC 6761 says where that leads
            return tuple(cls(network, "", port) for network in _LOOPBACK)
        try:
            network = ip_network(host)
        except ValueError as error:
            name = _name(host)
            if not _NAME.fullmatch(name) or _ENDS_IN_A_NUMBER.fullmatch(name):
                raise ValueError(f"{text!r} is no host name, address or network") from error
            return (cls(None, name, port),)
        if network.num_addresses == 1:
            network = ip_network(_unwrapped(network.network_address))
        return (cls(network, "", port),)


class Reachability:
    """What may be called, decided by address and port."""

    def __init__(self, allowed: Iterable[PrivateHost] = ()) -> None:
        allowed = tuple(allowed)
        self._networks = tuple((one.network, one.port) for one in allowed if one.network)
        self._names = {(one.name, one.port) for one in allowed if one.name}

    @classmethod
    def configured(cls, hosts: Iterable[PrivateHost], variables: Mapping[str, str]) -> Self:
        """By the setting, and by the addresses among providers' variables."""
        given = [
            host
            for name, value in variables.items()
            if name.endswith(_ADDRESS_VARIABLE)
            for host in _hosts_of(value)
        ]
        return cls((*hosts, *given))

    @classmethod
    def in_force(cls) -> Self:
        """As this installation's settings have it."""
        return cls.configured(settings.PROVIDER_PRIVATE_HOSTS, settings.PROVIDER_VARIABLES)

    def allows_name(self, url: str | None) -> int | None:
        """The port at which this URL's host may be in a private network; None for none."""
        try:
            parts = urlsplit(url or "")
            name, port = _name(parts.hostname or ""), parts.port or _PORTS.get(parts.scheme)
        except ValueError:
            return None
        return port if {(name, port), (name, None)} & self._names else None

    def allows(self, address: Address, port: int, *, private_port: int | None = None) -> bool:
        """Whether a connection may be made; `private_port` is what `allows_name` said."""
        address = _unwrapped(address)
        if _is_public(address):
            return True
        if port == private_port and _is_ones_own(address):
            return True
        return any(address in network and at in (None, port) for network, at in self._networks)

    def objection(self, url: str) -> str:
        """What is wrong with an address that staff give, as far as can be said now; or nothing.

        Asks the resolver about a name.  One that it does not know is no matter: what counts is
        where the name leads when it is called.
        """
        if said := objection_to_form(url):
            return said
        parts = urlsplit(url)
        port = parts.port or _PORTS[parts.scheme]
        for address in _addresses_of(parts.hostname or "", port):
            if not self.allows(address, port, private_port=self.allows_name(url)):
                return (
                    f"This leads to {_unwrapped(address)}, which is no public address. Whoever "
                    f"runs Scalix can allow it, in the environment: {SETTING}={_written(parts)}"
                )
        return ""


def objection_to_form(url: str) -> str:
    """What no provider's address looks like, where this one does; or nothing."""
    if not url.isascii() or not url.isprintable() or {" ", "\\"} & set(url):
        return "Write this address in plain ASCII, without spaces or backslashes."
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        return f"This is no address: {error}."
    if parts.scheme not in _PORTS:
        return "Providers are called over https:// or http://."
    if parts.username is not None or parts.password is not None:
        return "An address holds no credentials: name the key's variable instead."
    return "" if parts.hostname else "This address names no host."


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST:
        return False
    return address.is_global and not any(address in network for network in _NOT_PUBLIC)


def _is_ones_own(address: Address) -> bool:
    return address not in _CLOUD_METADATA and any(address in network for network in _ONES_OWN)


def _unwrapped(address: Address) -> Address:
    """The IPv4 address that an IPv6 one only stands for, where networks know it as such."""
    if not isinstance(address, IPv6Address):
        return address
    if address in _NAT64:  # where there is no IPv4, every provider without IPv6 is at such a one
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or IPv6Address(int(address))  # without its zone


def _host_and_port(text: str) -> tuple[str, int | None]:
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError(f"{text!r} has no end to its brackets")
        rest = rest[1:]
    elif text.count(":") > 1:
        host, rest = text, ""
    else:
        host, _, rest = text.partition(":")
    if not rest:
        return host, None
    if not rest.isdecimal() or not 0 < int(rest) < 65_536:
        raise ValueError(f"{text!r} has a port that is none")
    return host, int(rest)


def _name(host: str) -> str:
    """A host's name as it is compared."""
    name = host.lower().removesuffix(".")
    return name if name.isascii() else name.encode("idna").decode()


def _hosts_of(url: str) -> tuple[PrivateHost, ...]:
    """What a provider's address in the environment allows: itself, at its port."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS[parts.scheme]
        return PrivateHost.read(f"[{parts.hostname or ''}]:{port}")
    except (ValueError, KeyError):  # no address; whoever calls it will find that out
        return ()


def _addresses_of(host: str, port: int) -> list[Address]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return list(dict.fromkeys(ip_address(str(sockaddr[0])) for *_, sockaddr in found))


def _written(parts: SplitResult) -> str:
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return f"{host}:{parts.port or _PORTS[parts.scheme]}"
