"""Where a request comes from: trusted proxies are believed, from the right, and nobody else."""

from ipaddress import ip_network

import pytest

from accounts.addresses import client_address, network_of, parsed

PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "client"),
    [
        ("192.0.2.7", "", "192.0.2.7"),
        ("192.0.2.7", "198.51.100.1", "192.0.2.7"),  # a client's own word
        ("10.0.0.1", "192.0.2.7", "192.0.2.7"),
        ("10.0.0.1", "198.51.100.1, 192.0.2.7", "192.0.2.7"),  # what stands left is the client's
        ("10.0.0.1", "192.0.2.7, 10.0.0.2", "192.0.2.7"),  # two of our proxies
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),  # somebody inside
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "unknown", "10.0.0.1"),
        ("10.0.0.1", "192.0.2.7, unknown", "10.0.0.1"),  # no reading on beyond nonsense
        ("10.0.0.1", ", ,", "10.0.0.1"),
        ("fd00::1", "2001:db8::7", "2001:db8::7"),
        ("fd00::1", "[2001:db8::7]:4711", "2001:db8::7"),
        ("10.0.0.1", "192.0.2.7:4711", "192.0.2.7"),
        ("::ffff:10.0.0.1", "192.0.2.7", "192.0.2.7"),  # a socket for both families
        ("::ffff:192.0.2.7", "", "192.0.2.7"),
        ("", "192.0.2.7", None),  # a unix socket: nobody knows
        ("testclient", "192.0.2.7", None),
    ],
)
def test_the_client_is_the_first_that_is_no_proxy_of_ours(
    peer: str, forwarded_for: str, client: str | None
) -> None:
    assert client_address(peer, forwarded_for, PROXIES) == client


def test_with_no_trusted_proxy_nobody_is_believed() -> None:
    assert client_address("127.0.0.1", "192.0.2.7", ()) == "127.0.0.1"


def test_a_peer_that_is_not_believed_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        client_address("198.51.100.99", "192.0.2.7", PROXIES)
    assert caplog.text.count("198.51.100.99 sends X-Forwarded-For") == 1
    assert "TRUSTED_PROXIES" in caplog.text


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2::", "2001:db8:1:2::"),
        (None, None),
    ],
)
def test_an_ipv4_address_counts_by_itself_and_ipv6_by_the_line(
    address: str | None, network: str | None
) -> None:
    assert network_of(address) == network


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("fe80::1%eth0", "fe80::1"),
        ("2001:DB8:0::0:7", "2001:db8::7"),
        ("192.0.2.256", None),
        ("0300.0.2.7", None),
        ("' OR 1=1", None),
        ("١٩٢.0.2.7", None),
        ("9" * 5_000, None),
    ],
)
def test_one_address_has_one_form_and_nonsense_none(text: str, address: str | None) -> None:
    assert parsed(text) == address
