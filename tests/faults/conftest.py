"""The session's running product, to be treated badly, and accounts nobody has used yet."""

import itertools
from collections.abc import Callable

import pytest

from bench.ledger import Ledger
from bench.product import Product
from tests.faults.cases import Member
from tests.gateway_server import GatewayServer
from tests.upstream.double import UpstreamDouble

Join = Callable[[str, int], list[Member]]


@pytest.fixture
def double(gateway_server: GatewayServer) -> UpstreamDouble:
    gateway_server.upstream.reset()
    return gateway_server.upstream


@pytest.fixture
def product(gateway_server: GatewayServer) -> Product:
    return gateway_server.product


@pytest.fixture
def ledger(product: Product) -> Ledger:
    return Ledger(product.dsn)


_numbers = itertools.count()


@pytest.fixture
def join(gateway_server: GatewayServer) -> Join:
    """New members: of a tier, so many."""

    def make(tier: str, count: int) -> list[Member]:
        emails = [f"load-{next(_numbers)}@example.com" for _ in range(count)]
        return [Member(email, gateway_server.issue_token(tier, email)) for email in emails]

    return make
