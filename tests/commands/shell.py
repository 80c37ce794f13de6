"""Commands as somebody types them in another shell: a process of their own."""

import os
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
_OURS = ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "PUBLIC_URL", "SCALIX_VAR")


def manage(var: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`manage.py` with these arguments and the state folder `var`, and none of our own settings."""
    environment = {name: value for name, value in os.environ.items() if name not in _OURS}
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=PROJECT,
        env=environment | {"SCALIX_VAR": str(var)},
        capture_output=True,
        text=True,
        check=False,
    )
