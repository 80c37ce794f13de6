"""`manage.py reconcile_ledger`: whether counters, ledger rows and roll-ups agree."""

import datetime as dt
import json
from argparse import ArgumentParser, ArgumentTypeError
from dataclasses import asdict
from typing import Any, Final

from django.core.management.base import CommandError
from django.utils import timezone

from accounts.database_command import DatabaseCommand
from accounts.postgres import PostgresUnavailable
from billing.metering.quota import QuotaUnavailable
from billing.metering.reconcile import (
    Disagreement,
    counters_disagreeing,
    repair,
    rollups_disagreeing,
)
from billing.metering.spent import is_behind, rolled_to

_DAYS: Final = 7


class Command(DatabaseCommand):
    help = (
        "Compares the counters with the ledger's rows, the rows with the sums by hour, and these "
        "with the sums by day. Says each figure that differs; exit status 1 if any does, or if "
        "the sums are behind. Safe to run at any time, also while requests run."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print what was found as JSON")
        parser.add_argument(
            "--repair",
            action="store_true",
            help="sum what differs anew from the rows, then look again",
        )
        parser.add_argument(
            "--since",
            type=_day,
            metavar="DAY",
            help=f"compare roll-ups from this UTC day on, such as 2026-11-01 (default: {_DAYS} "
            "days ago)",
        )

    def handle(self, **options: Any) -> None:
        since = options["since"] or timezone.now().date() - dt.timedelta(days=_DAYS)
        try:
            found = _look(since)
            left = found
            if options["repair"] and found:
                repair(found)
                left = _look(since)
        except (QuotaUnavailable, PostgresUnavailable) as error:
            raise CommandError(
                f"A store is away: {error}. Nothing was compared in full."
            ) from error
        self._say(found, left, repaired=options["repair"], as_json=options["json"])
        if left or is_behind():
            raise SystemExit(1)

    def _say(
        self,
        found: list[Disagreement],
        left: list[Disagreement],
        *,
        repaired: bool,
        as_json: bool,
    ) -> None:
        mark = rolled_to()
        if as_json:
            answer = {
                "rolled_to": mark and mark.isoformat(),
                "behind": is_behind(),
                "disagreements": [asdict(one) for one in found],
                "left": [asdict(one) for one in left],
            }
            self.stdout.write(json.dumps(answer, default=str))
            return
        for one in found:
            self.stdout.write(str(one))
        if not found:
            self.stdout.write("Counters, rows and roll-ups agree.")
        elif repaired:
            self.stdout.write(f"Repaired {len(found) - len(left)} of {len(found)} figures.")
        if is_behind():
            until = f"{mark:%Y-%m-%d %H:%M} UTC" if mark else "never"
            self.stdout.write(f"The roll-ups are behind, last run: {until}. Is the worker running?")


def _look(since: dt.date) -> list[Disagreement]:
    return [*counters_disagreeing(), *rollups_disagreeing(since)]


def _day(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is no day such as 2026-11-01") from error
