"""The whole table, run and printed: `python -m tests.conformance`."""

import argparse
import os
import shutil
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "scalix.settings")
django.setup()  # what the table imports has Django's models in it

from tests.conformance.conftest import running_sdk  # noqa: E402
from tests.conformance.serving import TableServer, table_server  # noqa: E402
from tests.conformance.table import OURS, PROVIDERS, ROWS, SDKS, SILENT  # noqa: E402

Cells = dict[tuple[str, str], list[str]]
"""By row and SDK: of each provider `+`, `-` or, where the SDK has no such thing, nothing."""


def main() -> int:
    """The exit status is 1 when anything is not as it must be."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument("--sdk", nargs="+", choices=SDKS, default=SDKS, metavar="SDK")
    parser.add_argument(
        "--provider", nargs="+", choices=list(PROVIDERS), default=list(PROVIDERS), metavar="NAME"
    )
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="scalix-table-"))
    cells: Cells = {}
    try:
        with table_server(folder) as server:
            for version in options.sdk:
                print(version, file=sys.stderr, flush=True)
                _fill(cells, server, version, options.provider)
            print("silent providers", file=sys.stderr, flush=True)
            for provider in options.provider:
                _fill_silent(cells, server, options.sdk, provider)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(_table(cells, options.sdk))
    return int(any("-" in marks for marks in cells.values()))


def _fill(cells: Cells, server: TableServer, version: str, providers: list[str]) -> None:
    """One SDK's column."""
    with running_sdk(version) as sdk:
        for name, row in ROWS.items():
            for provider in providers:
                wrong = server.wrong_with(sdk, version, row, provider)
                _note(cells, name, version, provider, wrong)
        for name, row in OURS.items():
            _note(cells, name, version, "", server.wrong_with(sdk, version, row, "openai"))


def _fill_silent(cells: Cells, server: TableServer, sdks: list[str], provider: str) -> None:
    """All SDKs side by side, since it takes seconds."""

    def meet(version: str) -> object:
        with running_sdk(version) as sdk:
            return server.wrong_with(sdk, version, SILENT, provider)

    with ThreadPoolExecutor(len(sdks)) as pool:
        for version, wrong in zip(sdks, pool.map(meet, sdks), strict=True):
            _note(cells, "silent provider", version, provider, wrong)


def _note(cells: Cells, row: str, version: str, provider: str, wrong: object) -> None:
    marks = cells.setdefault((row, version), [])
    if wrong is None:
        return
    marks.append("-" if wrong else "+")
    if wrong:
        where = f" over {provider}" if provider else ""
        print(f"  {row}, {version}{where}: {wrong}", file=sys.stderr, flush=True)


def _table(cells: Cells, sdks: list[str]) -> str:
    """Rows by SDKs; in each cell over how many providers it is green."""
    rows = dict.fromkeys(row for row, _ in cells)
    lines = [f"| row | {' | '.join(sdks)} |", f"| --- |{' ---: |' * len(sdks)}"]
    for row in rows:
        counts = [cells[row, version] for version in sdks]
        said = [f"{one.count('+')} of {len(one)}" if one else "" for one in counts]
        lines.append(f"| {row} | {' | '.join(said)} |")
    green = sum(one.count("+") for one in cells.values())
    return "\n".join([*lines, "", f"{green:,} of {sum(map(len, cells.values())):,} green"])


if __name__ == "__main__":
    sys.exit(main())
