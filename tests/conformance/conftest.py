"""Each SDK version, the running product, and accounts nobody has used yet."""

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.sdk import Sdk
from tests.conformance.venvs import sdk_python
from tests.gateway_server import GatewayServer


@dataclass(frozen=True, slots=True)
class Client:
    """One user with one SDK version."""

    sdk: Sdk
    server: GatewayServer
    token: str

    @property
    def base_url(self) -> str:
        """The one that the documentation names."""
        return f"{self.server.base_url}/v1"

    def do(self, action: str, **order: Any) -> dict[str, Any]:
        """One action of `sdk_child` with this user's token and the right address."""
        return self.sdk.do(action, **{"base_url": self.base_url, "token": self.token, **order})


NewClient = Callable[[], Client]


@pytest.fixture(scope="package", params=["openai-2", "openai-3"])
def sdk(request: pytest.FixtureRequest) -> Iterator[Sdk]:
    """An SDK's process."""
    sdk = Sdk(sdk_python(Path(__file__).with_name(f"{request.param}.txt")))
    yield sdk
    sdk.close()


@pytest.fixture
def new_client(sdk: Sdk, gateway_server: GatewayServer) -> NewClient:
    """Makes clients, each of a new user on the free plan."""
    gateway_server.upstream.reset()
    return lambda: Client(sdk, gateway_server, gateway_server.issue_token("free"))


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
