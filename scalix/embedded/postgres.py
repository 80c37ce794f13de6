"""The embedded Postgres: one cluster below the state folder, on a unix socket only.

Any local process of this user may connect without a password: the socket and the data lie in
folders that nobody else can enter.
"""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import psycopg
from psycopg import sql

from scalix.embedded.errors import EmbeddedError
from scalix.embedded.folders import make_folders
from scalix.embedded.leash import leashed
from scalix.embedded.part import Part
from scalix.embedded.paths import (
    DATABASE_NAME,
    DATABASE_USER,
    POSTGRES_SOCKET_NAME,
    EmbeddedPaths,
)
from scalix.embedded.postgres_account import PostgresAccount, account_for
from scalix.embedded.stray_postgres import end_stray_postgres

MAJOR_VERSION = "18"

# A locale that is built into Postgres, so that sorting is the same on every machine.
_INITDB_OPTIONS = (
    f"--username={DATABASE_USER}",
    "--auth=trust",
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
)
_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "",
    "jit": "off",
}
_DURABLE = {"fsync": "on", "synchronous_commit": "on"}
# Commits still reach the operating system at once: tests kill Postgres, and count what it had.
_NOT_DURABLE = {"fsync": "off", "synchronous_commit": "on", "full_page_writes": "off"}
# Everything else is either routine or told to the client that caused it.
_WORTH_SHOWING = re.compile(r"^(PANIC|FATAL): (?! the database system is )")


def postgres_part(
    paths: EmbeddedPaths,
    *,
    durable: bool = True,
    account: Callable[[Path], PostgresAccount] = account_for,
) -> Part:
    """The embedded Postgres, ready once the product's database exists and answers.

    `durable=False` drops fsync, for tests alone: a crash of the machine may lose the cluster.
    The caller owns the state folder: a Postgres that still runs on it is ended.
    """
    make_folders(paths)
    cluster = _Cluster(paths, account(paths.var), _DURABLE if durable else _NOT_DURABLE)
    return Part(
        name="postgres",
        prepare=cluster.prepare,
        command=cluster.command,
        is_ready=partial(ensure_database, paths),
        user_id=cluster.account.user_id,
        stop_signal=signal.SIGINT,  # its fast shutdown: disconnect everybody, then a checkpoint
        grace_seconds=30,
        halt_signal=signal.SIGQUIT,  # no checkpoint: the next start replays the log
        death_signal=signal.SIGINT,
        shown=_WORTH_SHOWING,
    )


def ensure_database(paths: EmbeddedPaths) -> bool:
    """Whether the server answers; the product's database is created where it's missing."""
    host = os.fspath(paths.postgres_socket_dir)
    try:
        with psycopg.connect(
            host=host, user=DATABASE_USER, dbname="postgres", autocommit=True, connect_timeout=2
        ) as connection:
            known = connection.execute(
                "SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE_NAME]
            ).fetchone()
            if known is None:
                connection.execute(
                    sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE_NAME))
                )
    except psycopg.OperationalError:
        return False  # not listening yet, or still replaying its log
    return True


class _Cluster:
    """The data directory, and the commands that make and serve it."""

    def __init__(
        self, paths: EmbeddedPaths, account: PostgresAccount, durability: dict[str, str]
    ) -> None:
        self.paths = paths
        self.account = account
        self._settings = _SETTINGS | durability
        home = account.home
        self._sockets = paths.postgres_socket_dir if home is None else home / "run"
        # A cluster is built here and then put in its place in one move, so that the place
        # holds a complete cluster or none, wherever the power fails.
        self._building = paths.var / "postgres.new" if home is None else home / "postgres"

    def prepare(self) -> None:
        """Leave a complete cluster of the right version that no process uses."""
        data = self.paths.postgres_data
        end_stray_postgres(data)
        (self._sockets / f"{POSTGRES_SOCKET_NAME}.lock").unlink(missing_ok=True)
        if not data.exists():
            self._create()
        self._check(data)
        if self.account.home is not None:
            _link(
                self.paths.postgres_socket_dir / POSTGRES_SOCKET_NAME,
                self._sockets / POSTGRES_SOCKET_NAME,
            )

    def command(self) -> Sequence[str]:
        """What serves the cluster. Never through a link: its user may not reach the link."""
        settings = self._settings | {"unix_socket_directories": os.fspath(self._sockets)}
        options = [item for name, value in settings.items() for item in ("-c", f"{name}={value}")]
        program = os.fspath(self.account.binaries / "postgres")
        data = os.fspath(self.paths.postgres_data.resolve())
        return [*self.account.prefix, program, "-D", data, *options]

    def _create(self) -> None:
        home, building, data = self.account.home, self._building, self.paths.postgres_data
        end_stray_postgres(building)  # of an initdb that was killed halfway
        if home is not None:
            if home.exists():
                shutil.rmtree(home)
            for folder in (home, self._sockets):
                folder.mkdir(mode=0o700)
                os.chown(folder, self.account.user_id or 0, self.account.user_id or 0)
        elif building.exists():
            shutil.rmtree(building)
        self._initdb(building)
        if home is None:
            building.rename(data)
        else:
            _link(data, building)

    def _initdb(self, target: Path) -> None:
        program = os.fspath(self.account.binaries / "initdb")
        command = [*self.account.prefix, program, "-D", os.fspath(target), *_INITDB_OPTIONS]
        made = subprocess.run(
            leashed(command, user_id=self.account.user_id),
            capture_output=True,
            text=True,
            env={"PATH": os.defpath, "LC_ALL": "C"},
            cwd="/",
            check=False,
        )
        if made.returncode != 0:
            raise EmbeddedError(
                f"Postgres could not create its data directory {target}:\n"
                f"{made.stderr.strip()}\nDATABASE_URL may name a Postgres of your own instead."
            )

    def _check(self, data: Path) -> None:
        if self.account.home is not None and not data.is_symlink():
            raise EmbeddedError(
                f"The database in {data} was made by another user."
                " Start Scalix as that user, or set DATABASE_URL to a Postgres of your own."
            )
        found = (data / "PG_VERSION").read_text().strip()
        if found != MAJOR_VERSION:
            raise EmbeddedError(
                f"The database in {data} was made by Postgres {found}, and this is Postgres"
                f" {MAJOR_VERSION}. Dump it with the old release and load it with this one."
            )


def _link(link: Path, target: Path) -> None:
    link.unlink(missing_ok=True)
    link.symlink_to(target)
