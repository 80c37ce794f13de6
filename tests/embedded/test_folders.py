"""Folders that nobody else can enter."""

import os
from pathlib import Path

import pytest

from scalix.embedded.errors import EmbeddedError
from scalix.embedded.folders import make_folders, make_private
from scalix.embedded.paths import EmbeddedPaths


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_locks_logs_and_sockets_are_for_their_owner_alone(tmp_path: Path) -> None:
    paths = EmbeddedPaths(tmp_path / "var")
    make_folders(paths)
    private = (paths.run, paths.logs, paths.socket_dir, paths.sandbox_state.parent)
    assert [mode(folder) for folder in private] == [0o700] * 4


def test_an_open_folder_of_ones_own_is_closed(tmp_path: Path) -> None:
    folder = tmp_path / "sockets"
    folder.mkdir(mode=0o755)
    make_private(folder)
    assert mode(folder) == 0o700


def test_a_link_that_somebody_put_there_first_is_refused(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    link = tmp_path / "sockets"
    link.symlink_to(tmp_path / "theirs")
    with pytest.raises(EmbeddedError, match="or remove it"):
        make_private(link)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make somebody else's folder")
def test_somebody_elses_folder_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "sockets"
    folder.mkdir(mode=0o700)
    os.chown(folder, 65534, 65534)
    with pytest.raises(EmbeddedError, match="or remove it"):
        make_private(folder)


def test_a_state_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EmbeddedError, match="SCALIX_VAR"):
        make_folders(EmbeddedPaths(tmp_path / "file" / "var"))
