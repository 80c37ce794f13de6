"""A stand-in provider, and what calls it."""

from collections.abc import AsyncIterator

import pytest

from gateway.providers.client import Providers
from gateway.providers.reachability import PrivateHost, Reachability
from gateway.types import Target
from tests.gateway.cast import target
from tests.gateway.provider import Provider, standing_in


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    async with standing_in() as provider:
        yield provider


@pytest.fixture
async def providers() -> AsyncIterator[Providers]:
    providers = Providers(
        connect=2, silence=5, reachability=Reachability(PrivateHost.read("localhost"))
    )
    await providers.open()
    yield providers
    await providers.close()


@pytest.fixture
def deployment(provider: Provider) -> Target:
    return target("one", base_url=provider.address)
