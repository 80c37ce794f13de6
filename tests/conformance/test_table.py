"""Every official SDK over every provider's stand-in: `table.py` has the rows."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.conformance.conftest import running_sdk
from tests.conformance.sdk import Sdk
from tests.conformance.serving import TableServer, table_server
from tests.conformance.table import OURS, PROVIDERS, ROWS, SDKS, SILENT


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TableServer]:
    """A product with a public model for each provider."""
    with table_server(tmp_path_factory.mktemp("table")) as server:
        yield server


@pytest.fixture(scope="module", params=SDKS)
def sdk(request: pytest.FixtureRequest) -> Iterator[tuple[str, Sdk]]:
    """An SDK's name and process."""
    with running_sdk(request.param) as sdk:
        yield request.param, sdk


@pytest.mark.parametrize("provider", PROVIDERS)
def test_an_sdk_over_a_provider(sdk: tuple[str, Sdk], provider: str, server: TableServer) -> None:
    version, process = sdk
    wrong = {name: server.wrong_with(process, version, row, provider) for name, row in ROWS.items()}
    assert {name: one for name, one in wrong.items() if one} == {}


def test_an_sdk_and_what_no_provider_hears_of(sdk: tuple[str, Sdk], server: TableServer) -> None:
    version, process = sdk
    wrong = {name: server.wrong_with(process, version, row, "openai") for name, row in OURS.items()}
    assert {name: one for name, one in wrong.items() if one} == {}
    assert server.stand_ins["openai"].asked == []


def test_every_sdk_is_told_of_a_silent_provider(server: TableServer) -> None:
    def meet(version: str, provider: str) -> object:
        with running_sdk(version) as sdk:
            return server.wrong_with(sdk, version, SILENT, provider)

    with ThreadPoolExecutor(len(SDKS)) as pool:  # side by side: it takes seconds
        wrong = dict(zip(SDKS, pool.map(meet, SDKS, PROVIDERS), strict=True))
    assert not any(wrong.values()), wrong
