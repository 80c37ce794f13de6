"""One virtual environment or node_modules for each SDK version, from its hash-pinned requirements.

The SDK that the product itself depends on is another copy of the same package, so a version under
test can't be installed beside it.
"""

import fcntl
import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

_FOLDER: Final = Path(__file__).resolve().parents[2] / "var" / "conformance"


def sdk_python(requirements: Path) -> Path:
    """The interpreter of a venv with exactly these requirements, built on first use.

    Raises RuntimeError with the installer's words when it can't be built.
    """
    return _built(requirements.stem, requirements, _build_venv) / "bin" / "python"


def sdk_node_modules(lock_file: Path) -> Path:
    """A folder with exactly these packages in its node_modules, installed on first use.

    Raises RuntimeError with npm's words when they can't be installed.
    """
    return _built(f"node-{lock_file.parent.name}", lock_file, _install_by_npm)


def _built(name: str, pinned: Path, build: Callable[[Path, Path], None]) -> Path:
    digest = hashlib.sha256(pinned.read_bytes()).hexdigest()[:16]
    home = _FOLDER / f"{name}-{digest}"
    finished = home / "finished"
    _FOLDER.mkdir(parents=True, exist_ok=True)
    # Two test runs may want the same one at the same time.
    with (_FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not finished.exists():
            build(home, pinned)
            finished.touch()
    return home


def _install_by_npm(home: Path, lock_file: Path) -> None:
    home.mkdir(exist_ok=True)
    for source in (lock_file, lock_file.with_name("package.json")):
        shutil.copy(source, home)
    _run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(home)])


def _build_venv(home: Path, requirements: Path) -> None:
    uv = Path(sys.executable).with_name("uv")
    python = str(home / "bin" / "python")
    if uv.exists():
        create = [str(uv), "venv", "--clear", "--python", sys.executable, str(home)]
        install = [str(uv), "pip", "install", "--python", python]
    else:
        create = [sys.executable, "-m", "venv", "--clear", str(home)]
        install = [python, "-m", "pip", "install", "--disable-pip-version-check"]
    _run(create)
    _run([*install, "--require-hashes", "--requirement", str(requirements)])


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
