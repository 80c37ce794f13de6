"""State folders that go away, and patience that ends."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from scalix.embedded.folders import make_folders
from scalix.embedded.paths import EmbeddedPaths


@pytest.fixture
def paths() -> Iterator[EmbeddedPaths]:
    """A state folder with a path that is short enough for sockets, unlike pytest's own."""
    var = Path(tempfile.mkdtemp(prefix="scalix-var-"))
    paths = EmbeddedPaths(var)
    make_folders(paths)
    yield paths
    shutil.rmtree(var)
