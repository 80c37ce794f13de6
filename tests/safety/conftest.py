"""A second process, as far as Postgres can tell."""

from collections.abc import Callable, Iterator

import psycopg
import pytest

from accounts.postgres import conninfo


@pytest.fixture
def on_another_connection(transactional_db: None) -> Iterator[Callable[[str], None]]:
    """Runs a statement on a connection that stays open until the test ends."""
    with psycopg.connect(conninfo(), autocommit=True) as other:
        yield lambda statement: other.execute(statement) and None  # type: ignore[func-returns-value]
