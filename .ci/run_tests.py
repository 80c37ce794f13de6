"""Run the tests as `make test` does, in two pytest runs side by side; the last line sums them up.

The browser tests use Playwright's synchronous interface, which shares no process with the event
loops of the asynchronous tests. Arguments go to both runs.
"""

import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
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
    with ThreadPoolExecutor(len(RUNS)) as side_by_side:
        for status, report, output in side_by_side.map(lambda run: one_run(run, arguments), RUNS):
            sys.stdout.buffer.write(output)
            total += report
            failed_runs += status not in (0, NO_TESTS)
    failed = total["failures"] + total["errors"]
    passed = total["tests"] - failed - total["skipped"]
    print(f"\n{passed} passed, {failed or failed_runs} failed, {total['skipped']} skipped")
    return 1 if failed or failed_runs or not passed else 0


def one_run(run: tuple[str, ...], arguments: list[str]) -> tuple[int, Counter[str], bytes]:
    """Its exit status, its counts, and what it had to say while another run said it: the first
    run speaks for itself, as it goes.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        command = [sys.executable, "-m", "pytest", *run, f"--junitxml={report}", *arguments]
        aside = None if run is RUNS[0] else subprocess.PIPE
        done = subprocess.run(command, stdout=aside, check=False)
        found = counts(report) if report.exists() else Counter()
        return done.returncode, found, done.stdout or b""


def counts(report: Path) -> Counter[str]:
    """Tests, failures, errors and skipped of one JUnit report."""
    suites = ET.parse(report).getroot().findall("testsuite")  # noqa: S314 (pytest wrote it)
    names = ("tests", "failures", "errors", "skipped")
    return Counter({name: sum(int(suite.get(name, 0)) for suite in suites) for name in names})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
