"""Each SDK version, the running product, and accounts nobody has used yet."""

import datetime as dt
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.sdk import Sdk, node_command, python_command
from tests.conformance.venvs import sdk_node_modules, sdk_python
from tests.gateway_server import GatewayServer


@dataclass(frozen=True, slots=True)
class Client:
    """One user with one SDK version."""

    sdk: Sdk
    server: GatewayServer
    token: str
    base_url: str

    def do(self, action: str, **order: Any) -> dict[str, Any]:
        """One action of the SDK's with this user's token and the right address."""
        return self.sdk.do(action, **{"base_url": self.base_url, "token": self.token, **order})


NewClient = Callable[[], Client]


@contextmanager
def running_sdk(version: str) -> Iterator[Sdk]:
    """The process of an SDK: of `openai-2.txt`, or of `node/openai-6` for `node-openai-6`."""
    sdk = Sdk(_node(version) if version.startswith("node-") else _python(version))
    try:
        yield sdk
    finally:
        sdk.close()


def _python(version: str) -> list[str]:
    here = Path(__file__)
    actions = here.with_name(f"{version.split('-', maxsplit=1)[0]}_actions.py")
    return python_command(sdk_python(here.with_name(f"{version}.txt")), actions)


def _node(version: str) -> list[str]:
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        pytest.skip("There is no node or no npm here.")
    folder, package = Path(__file__).with_name("node"), version.removeprefix("node-")
    installed = sdk_node_modules(folder / package / "package-lock.json")
    return node_command(node, installed, folder / f"{package.split('-')[0]}_actions.mjs")


@pytest.fixture(scope="package", params=["openai-1", "openai-2", "openai-3"])
def sdk(request: pytest.FixtureRequest) -> Iterator[Sdk]:
    """An SDK's process."""
    with running_sdk(request.param) as sdk:
        yield sdk


@pytest.fixture
def base_path() -> str:
    """Of the base URL that the documentation names."""
    return "/v1"


@pytest.fixture
def new_client(sdk: Sdk, gateway_server: GatewayServer, base_path: str) -> NewClient:
    """Makes clients, each of a new user on the free plan."""
    server = gateway_server
    server.upstream.reset()
    base_url = f"{server.base_url}{base_path}"
    return lambda: Client(sdk, server, server.issue_token("free"), base_url)


@pytest.fixture
def client(new_client: NewClient) -> Client:
    """A new user with the SDK."""
    return new_client()


@pytest.fixture
def same_hour(new_client: NewClient) -> Callable[[Callable[[Client], Any]], Any]:
    """Runs something for a new user within one clock hour: again if the hour ended meanwhile."""

    def run(work: Callable[[Client], Any]) -> Any:
        while True:
            hour = dt.datetime.now(dt.UTC).hour
            result = work(new_client())
            if dt.datetime.now(dt.UTC).hour == hour:
                return result

    return run
