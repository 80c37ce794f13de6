"""One virtual environment for each SDK version, from its hash-pinned requirements.

The SDK that the product itself depends on is another copy of the same package, so a version under
test can't be installed beside it.
"""

import fcntl
import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Final

_FOLDER: Final = Path(__file__).resolve().parents[2] / "var" / "conformance"


def sdk_python(requirements: Path) -> Path:
    """The interpreter of a venv with exactly these requirements, built on first use.

    Raises RuntimeError with the installer's words when it can't be built.
    """
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()[:16]
    home = _FOLDER / f"{requirements.stem}-{digest}"
    finished = home / "finished"
    _FOLDER.mkdir(parents=True, exist_ok=True)
    # Two test runs may want the same venv at the same time.
    with (_FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not finished.exists():
            _build(home, requirements)
            finished.touch()
    return home / "bin" / "python"


def _build(home: Path, requirements: Path) -> None:
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
