"""Refuse .pth files in site-packages: Python runs their code at every start, of every program.

One release of a package this project uses carried a credential stealer in such a file.
"""

import sys
import sysconfig
from pathlib import Path


def main() -> int:
    """The exit status: 1 when there is one."""
    folders = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    found = sorted(path for folder in folders for path in Path(folder).glob("*.pth"))
    for path in found:
        print(f"{path} runs at every start of Python:\n{path.read_text(errors='replace')}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
