"""A sandbox on the loopback interface, and a shop that reaches it with Stripe's own SDK."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sandbox.running import RunningSandbox
from tests.sandbox.shop import Shop


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[RunningSandbox]:
    """A running sandbox whose webhooks reach nobody."""
    with RunningSandbox(tmp_path / "state.sqlite3") as running:
        yield running


@pytest.fixture
def shop(sandbox: RunningSandbox) -> Shop:
    """One product at $29.99 a month or $287.90 a year."""
    return Shop(sandbox.base)
