"""A double to put under load."""

from collections.abc import Iterator

import pytest

from tests.upstream.double import UpstreamDouble


@pytest.fixture(scope="package")
def double() -> Iterator[UpstreamDouble]:
    with UpstreamDouble() as double:
        yield double
