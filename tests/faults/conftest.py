"""A whole product of this folder's own, with two web processes, to be treated badly."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.ledger import Ledger
from bench.product import Product
from tests.faults.cases import Member
from tests.upstream.double import UpstreamDouble

Join = Callable[[str, int], list[Member]]

WEB_PROCESSES = 2


@pytest.fixture(scope="package")
def running_double() -> Iterator[UpstreamDouble]:
    with UpstreamDouble() as double:
        yield double


@pytest.fixture
def double(running_double: UpstreamDouble) -> UpstreamDouble:
    running_double.reset()
    return running_double


@pytest.fixture(scope="package")
def product(
    running_double: UpstreamDouble, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Product]:
    var: Path = tmp_path_factory.mktemp("product")
    with Product(var, upstream=running_double.base_url, web_processes=WEB_PROCESSES) as product:
        yield product


@pytest.fixture(scope="package")
def ledger(product: Product) -> Ledger:
    return Ledger(product.dsn)


@pytest.fixture(scope="package")
def join(product: Product) -> Join:
    """New members: of a tier, so many."""
    numbers = itertools.count()

    def make(tier: str, count: int) -> list[Member]:
        emails = [f"{tier}-{next(numbers)}@example.com" for _ in range(count)]
        return [
            Member(*pair) for pair in zip(emails, product.issue_tokens(emails, tier), strict=True)
        ]

    return make
