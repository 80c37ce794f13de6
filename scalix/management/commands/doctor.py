"""`manage.py doctor`: is everything there that the product needs, and what to do if not."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand

from scalix.checkup import examine
from scalix.findings import FAIL, OK, WARN, Finding


class Command(BaseCommand):
    help = (
        "Checks database, Redis, catalogue, providers' keys, payments, web, worker, mail and "
        "secret key, one line each. Changes nothing. Exit status 1 if something fails."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, **options: Any) -> None:
        findings = []
        for finding in examine():
            findings.append(finding)
            if not options["json"]:
                self.stdout.write(self._line(finding))
        failed = any(finding.verdict == FAIL for finding in findings)
        if options["json"]:
            checks = [asdict(finding) for finding in findings]
            self.stdout.write(json.dumps({"ok": not failed, "checks": checks}))
        if failed:
            raise SystemExit(1)

    def _line(self, finding: Finding) -> str:
        colour = {OK: self.style.SUCCESS, WARN: self.style.WARNING, FAIL: self.style.ERROR}
        advice = f" → {finding.advice}" if finding.advice else ""
        verdict = colour[finding.verdict](f"{finding.verdict:<5}")
        return f"{verdict} {finding.check:<11} {finding.message}{advice}"
