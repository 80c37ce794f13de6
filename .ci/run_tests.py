"""Run the tests as `make test` does, in two pytest runs, and sum both up in the last line.

The browser tests use Playwright's synchronous interface, which shares no process with the event
loops of the asynchronous tests. Arguments go to both runs.
"""

import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree as ET

RUNS = (
    ("tests", "--ignore=tests/e2e", "--numprocesses=3", "--dist=loadfile"),
    ("tests/e2e",),
)
NO_TESTS = 5
"""pytest's exit status when it found none, which the sum of both runs decides about."""


def main(arguments: list[str]) -> int:
    """The exit status: 0 when some test ran and all of them passed."""
    total: Counter[str] = Counter()
    failed_runs = 0
    for run in RUNS:
        if not Path(run[0]).is_dir():
            continue
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder, "report.xml")
            status = subprocess.call(
                [sys.executable, "-m", "pytest", *run, f"--junitxml={report}", *arguments]
            )
            total += counts(report) if report.exists() else Counter()
        failed_runs += status not in (0, NO_TESTS)
    failed = total["failures"] + total["errors"]
    passed = total["tests"] - failed - total["skipped"]
    print(f"\n{passed} passed, {failed or failed_runs} failed, {total['skipped']} skipped")
    return 1 if failed or failed_runs or not passed else 0


def counts(report: Path) -> Counter[str]:
    """Tests, failures, errors and skipped of one JUnit report."""
    suites = ET.parse(report).getroot().findall("testsuite")  # noqa: S314 (pytest wrote it)
    names = ("tests", "failures", "errors", "skipped")
    return Counter({name: sum(int(suite.get(name, 0)) for suite in suites) for name in names})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
