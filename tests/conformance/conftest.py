"""Each SDK version, a server that it talks to, and accounts nobody has used yet."""

import datetime as dt
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bench.product import Product
from tests.conformance.sdk import Sdk
from tests.conformance.venvs import sdk_python
from tests.upstream.double import UpstreamDouble


@dataclass(frozen=True, slots=True)
class Client:
    """One user with one SDK version."""

    sdk: Sdk
    product: Product
    token: str

    @property
    def base_url(self) -> str:
        """The one that the documentation names."""
        return self.product.base_url

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


@pytest.fixture(scope="package")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """The running product, with a double behind it."""
    with (
        UpstreamDouble() as double,
        Product(tmp_path_factory.mktemp("product"), upstream=double.base_url) as product,
    ):
        yield product


@pytest.fixture(scope="package")
def tokens(product: Product) -> Iterator[str]:
    """Tokens of free users, each of another one."""
    return (
        token
        for batch in itertools.count()
        for token in product.issue_tokens(
            [f"sdk-{batch}-{n}@example.com" for n in range(4)], "free"
        )
    )


@pytest.fixture
def new_client(sdk: Sdk, product: Product, tokens: Iterator[str]) -> NewClient:
    """Makes clients, each of a new user."""
    return lambda: Client(sdk, product, next(tokens))


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
