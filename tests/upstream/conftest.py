"""One double for this folder's tests, emptied before each."""

from collections.abc import Iterator

import pytest

from tests.upstream.double import UpstreamDouble


@pytest.fixture(scope="package")
def running_double() -> Iterator[UpstreamDouble]:
    with UpstreamDouble() as double:
        yield double


@pytest.fixture
def double(running_double: UpstreamDouble) -> UpstreamDouble:
    running_double.reset()
    return running_double
