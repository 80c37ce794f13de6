"""Webhooks as bytes on the wire, to a running product: what no client library would send."""

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from stripe import WebhookSignature

from bench.product import Product
from tests.billing.fake_stripe import event, text_of
from tests.gateway_server import GatewayServer

MEGABYTES = 10


@pytest.fixture
def no_traceback(product: Product) -> Iterator[None]:
    """Fails the test when a web process writes a traceback meanwhile."""
    before = product.output.stat().st_size
    yield
    lines = product.output.read_bytes()[before:].splitlines()
    assert not [line for line in lines if line.startswith(b"web-") and b"Traceback" in line]


def post(product: Product, headers: list[str], *parts: bytes) -> int:
    """The answer's status; whoever is refused early may be cut off while it sends."""
    address = urlsplit(product.address)
    lines = ["POST /billing/webhook/ HTTP/1.1", f"Host: {address.netloc}", *headers, "", ""]
    with socket.create_connection((address.hostname, address.port or 80), timeout=20) as wire:
        try:
            wire.sendall("\r\n".join(lines).encode("latin-1"))
            for part in parts:
                wire.sendall(part)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it has answered
        return int(wire.makefile("rb").readline().split()[1])


def chunk(content: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(content), content)


def signature_of(product: Product, body: str) -> str:
    secret = product.paths.sandbox_secret.read_text().strip()
    header: str = WebhookSignature.generate_signature_header(body, secret)
    return f"Stripe-Signature: {header}"


def inbox_of(site: GatewayServer, event_id: str) -> int:
    ((count,),) = site.sql(
        "SELECT count(*) FROM billing_webhookevent WHERE event_id = %s", (event_id,)
    )
    return int(count)


def test_a_signature_that_is_not_ascii_is_refused(
    gateway_server: GatewayServer, product: Product, no_traceback: None
) -> None:
    found = event("invoice.paid", id="evt_not_ascii")
    body = text_of(found)
    header = signature_of(product, body) + "\xe9"
    status = post(product, [header, f"Content-Length: {len(body)}"], body.encode())
    assert (status, inbox_of(gateway_server, found["id"])) == (400, 0)


@pytest.mark.parametrize("announced", [True, False], ids=["with a length", "in chunks"])
def test_ten_megabytes_are_refused_however_they_are_sent(
    product: Product, no_traceback: None, announced: bool
) -> None:
    megabyte = b"x" * (1 << 20)
    headers = ["Stripe-Signature: t=1,v1=x"]
    if announced:
        length = f"Content-Length: {MEGABYTES << 20}"
        status = post(product, [*headers, length], *[megabyte] * MEGABYTES)
    else:
        chunks = [chunk(megabyte)] * MEGABYTES
        status = post(product, [*headers, "Transfer-Encoding: chunked"], *chunks, chunk(b""))
    assert status in (400, 413)


def test_chunks_that_stripe_signed_are_kept(
    gateway_server: GatewayServer, product: Product, no_traceback: None
) -> None:
    found = event("invoice.paid", "cus_nobody", id="evt_in_chunks")
    body = text_of(found)
    half = len(body) // 2
    parts = (chunk(body[:half].encode()), chunk(body[half:].encode()), chunk(b""))
    headers = [signature_of(product, body), "Transfer-Encoding: chunked"]
    assert post(product, headers, *parts) == 200
    assert inbox_of(gateway_server, found["id"]) == 1


def test_what_cannot_be_kept_is_answered_503_and_kept_when_it_comes_again(
    gateway_server: GatewayServer, product: Product
) -> None:
    """Stripe delivers again whatever was not answered 2xx."""
    found = event("invoice.paid", "cus_nobody", id="evt_while_postgres_is_away")
    body = text_of(found)
    statuses: set[int] = set()

    def delivered(expected: int) -> bool:
        headers = [signature_of(product, body), f"Content-Length: {len(body)}"]
        statuses.add(status := post(product, headers, body.encode()))
        return status == expected

    gateway_server.sql("ALTER TABLE billing_webhookevent RENAME TO billing_webhookevent_away")
    try:
        assert delivered(503)
    finally:
        gateway_server.sql("ALTER TABLE billing_webhookevent_away RENAME TO billing_webhookevent")
    assert inbox_of(gateway_server, found["id"]) == 0
    product.kill(product.pids("postgres")[0])
    product.wait_until(lambda: delivered(200), "the webhook is kept")
    assert statuses <= {200, 503}
    assert inbox_of(gateway_server, found["id"]) == 1
