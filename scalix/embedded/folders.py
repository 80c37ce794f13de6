"""Make the folders that the embedded parts trust."""

import os
import pwd
import stat
from pathlib import Path

from scalix.embedded.errors import EmbeddedError
from scalix.embedded.paths import EmbeddedPaths


def make_folders(paths: EmbeddedPaths) -> None:
    """Create what every part needs: the state folder, and private `run`, `logs` and sockets."""
    try:
        paths.var.mkdir(parents=True, exist_ok=True)
        for folder in (paths.run, paths.logs, paths.valkey_data, paths.sandbox_state.parent):
            folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise EmbeddedError(
            f"Cannot write to the state folder {paths.var}: {error.strerror}."
            " SCALIX_VAR names another one."
        ) from error
    make_private(paths.socket_dir)


def make_private(folder: Path) -> None:
    """Create a folder for this user alone; refuse one that somebody else could have prepared.

    Below /tmp anybody may have made it first, as a folder or a link of theirs.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        owner, user = _user_name(found.st_uid), _user_name(os.geteuid())
        raise EmbeddedError(
            f"{folder} belongs to {owner} or is a link, and this is {user}."
            " Start Scalix as its owner, or remove it."
        )
    if found.st_mode & 0o077:
        folder.chmod(0o700)


def _user_name(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:  # containers run as numbers that no file names
        return f"user {number}"
