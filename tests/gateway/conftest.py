"""A stand-in provider, and what calls it."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from gateway.providers.client import Providers
from gateway.types import Target
from tests.gateway.cast import target
from tests.gateway.provider import Provider


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    provider = Provider()
    application = web.Application(client_max_size=32 * 1024 * 1024)
    application.router.add_post("/v1/chat/completions", provider.answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    provider.address = f"http://{host}:{port}/v1"
    yield provider
    await runner.cleanup()


@pytest.fixture
async def providers() -> AsyncIterator[Providers]:
    providers = Providers(connect=2, silence=5)
    await providers.open()
    yield providers
    await providers.close()


@pytest.fixture
def deployment(provider: Provider) -> Target:
    return target("one", base_url=provider.address)
