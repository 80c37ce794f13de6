"""The folder of tokenizers that nothing else here needs, filled on first use.

They are no part of the virtual environment: a child process finds them by PYTHONPATH.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).resolve().parents[2]
_REQUIREMENTS: Final = _ROOT / "requirements" / "tokenizers.txt"


def tokenizers_folder() -> Path:
    """Where they are.  RuntimeError with the installer's words when they can't be had."""
    digest = hashlib.sha256(_REQUIREMENTS.read_bytes()).hexdigest()[:16]
    folder = _ROOT / "var" / "tokenizers" / digest
    if not folder.exists():
        partial = folder.with_name(f"{digest}.{os.getpid()}")
        uv = str(Path(sys.executable).with_name("uv"))
        # ctok declares Python 3.12; it is plain Python, and 3.11 runs it.
        install = [
            uv, "pip", "install", "--quiet", "--python", sys.executable,
            "--python-version", "3.12", "--no-deps", "--require-hashes",
            "--target", str(partial), "--requirement", str(_REQUIREMENTS),
        ]  # fmt: skip
        done = subprocess.run(install, capture_output=True, text=True, check=False)
        if done.returncode:
            shutil.rmtree(partial, ignore_errors=True)
            raise RuntimeError(f"The tokenizers can't be installed:\n{done.stderr}")
        partial.rename(folder)
    return folder
