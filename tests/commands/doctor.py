"""The doctor's report, read."""

import json
from io import StringIO
from typing import Any

from django.core.management import call_command

Findings = dict[str, dict[str, Any]]


def examine() -> tuple[Findings, int]:
    """Each finding by its check's name, and the exit status."""
    out, status = StringIO(), 0
    try:
        call_command("doctor", "--json", stdout=out)
    except SystemExit as error:
        status = int(str(error.code))
    report = json.loads(out.getvalue())
    assert report["ok"] is (status == 0)
    return {finding["check"]: finding for finding in report["checks"]}, status
