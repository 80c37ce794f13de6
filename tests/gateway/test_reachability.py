"""Which addresses may be called, and what the setting and the environment allow."""

from ipaddress import ip_address

import pytest

from gateway.providers.reachability import PrivateHost, Reachability
from scalix.settings import _private_hosts

PUBLIC = ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
PRIVATE = [
    "0.0.0.0",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::808:808",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "3fff::1",
    "fd00:ec2::254",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
]


def reachability(*entries: str, **variables: str) -> Reachability:
    hosts = [host for entry in entries for host in PrivateHost.read(entry)]
    return Reachability.configured(hosts, variables)


def allows(reachable: Reachability, address: str, port: int = 80, url: str | None = None) -> bool:
    private_port = reachable.allows_name(url)
    return reachable.allows(ip_address(address), port, private_port=private_port)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_may_be_called(address: str) -> None:
    assert allows(reachability(), address)


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_may_not(address: str) -> None:
    assert not allows(reachability(), address)


@pytest.mark.parametrize("address", PRIVATE)
def test_each_may_if_it_is_named_itself(address: str) -> None:
    assert allows(reachability(address.partition("%")[0]), address)


@pytest.mark.parametrize(
    ("entry", "address", "port", "allowed"),
    [
        ("10.0.0.1", "10.0.0.1", 80, True),
        ("10.0.0.1", "10.0.0.2", 80, False),
        ("10.0.0.1", "::ffff:10.0.0.1", 80, True),
        ("10.0.0.1:8000", "10.0.0.1", 8000, True),
        ("10.0.0.1:8000", "10.0.0.1", 80, False),
        ("10.0.0.0/8", "10.9.9.9", 80, True),
        ("10.0.0.0/8:8000", "10.9.9.9", 80, False),
        ("fd00::1", "fd00::1", 80, True),
        ("[fd00::1]:8000", "fd00::1", 8000, True),
        ("[fd00::/8]:8000", "fd00::1", 80, False),
        ("localhost:11434", "127.0.0.1", 11434, True),
        ("LocalHost:11434", "::1", 11434, True),
        ("localhost:11434", "127.0.0.1", 80, False),
    ],
)
def test_an_entry_is_an_address_or_a_network_perhaps_at_one_port(
    entry: str, address: str, port: int, allowed: bool
) -> None:
    assert allows(reachability(entry), address, port) is allowed


@pytest.mark.parametrize(
    "entry",
    [
        *("", ".", "a b", "x/8", "http://x", "x:y", "x:0", "x:70000", "10.0.0.1/8"),
        *("127.1", "2130706433", "0x7f.1", "[fd00::1", "[fd00::1]8000"),
    ],
)
def test_an_entry_that_makes_no_sense_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        PrivateHost.read(entry)


def test_such_an_entry_stops_the_start_with_the_variables_name() -> None:
    assert len(_private_hosts(" 10.0.0.0/8, ollama:11434,")) == 2
    with pytest.raises(SystemExit, match=r"PROVIDER_PRIVATE_HOSTS: '127\.1' is no host name"):
        _private_hosts("10.0.0.0/8,127.1")


@pytest.mark.parametrize(
    ("url", "address", "port", "allowed"),
    [
        ("http://models.internal:8000/v1", "10.0.0.1", 8000, True),
        ("http://MODELS.internal.:8000/v1", "fd00::1", 8000, True),
        ("http://models.internal:8000/v1", "10.0.0.1", 22, False),  # as by a redirect
        ("http://models.internal/v1", "10.0.0.1", 80, False),
        ("http://other.internal:8000/v1", "10.0.0.1", 8000, False),
        ("http://models.internal:8000/v1", "169.254.169.254", 8000, False),
        ("http://models.internal:8000/v1", "fd00:ec2::254", 8000, False),
        ("http://models.internal:8000/v1", "100.100.100.200", 8000, False),
        ("http://models.internal:8000/v1", "0.0.0.0", 8000, False),
        (None, "10.0.0.1", 8000, False),
    ],
)
def test_a_name_may_lead_into_ones_own_network_and_not_to_a_clouds_metadata(
    url: str | None, address: str, port: int, allowed: bool
) -> None:
    assert allows(reachability("models.internal:8000"), address, port, url) is allowed


@pytest.mark.parametrize(
    ("value", "address", "port", "allowed"),
    [
        ("http://10.0.0.1:8000/v1", "10.0.0.1", 8000, True),
        ("http://10.0.0.1:8000/v1", "10.0.0.1", 80, False),
        ("http://10.0.0.1/v1", "10.0.0.1", 80, True),
        ("https://[fd00::1]/v1", "fd00::1", 443, True),
        ("http://localhost:11434/v1", "127.0.0.1", 11434, True),
        ("http:///v1", "10.0.0.1", 80, False),
        ("nonsense", "10.0.0.1", 80, False),
        ("ftp://10.0.0.1", "10.0.0.1", 21, False),
    ],
)
def test_a_providers_address_in_the_environment_is_the_operators_word(
    value: str, address: str, port: int, allowed: bool
) -> None:
    for name in ("UPSTREAM_BASE_URL", "SCALIX_ENGINE_URL", "OLLAMA_API_BASE"):
        assert allows(reachability(**{name: value}), address, port) is allowed
    assert not allows(reachability(UPSTREAM_API_KEY=value, UPSTREAM_MODEL=value), address, port)


def test_a_providers_name_in_the_environment_may_lead_into_ones_own_network() -> None:
    url = "http://ollama:11434/v1"
    assert allows(reachability(UPSTREAM_BASE_URL=url), "172.17.0.2", 11434, url)
