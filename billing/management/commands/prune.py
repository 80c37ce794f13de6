"""`manage.py prune`: drops what is no longer kept, as the worker does by itself."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from accounts.database_command import DatabaseCommand
from billing.metering.retention import prune


class Command(DatabaseCommand):
    help = (
        "Drops months of the ledger, of refusals and of sums by hour that are older than "
        "LEDGER_MONTHS and REFUSAL_MONTHS say; sums by day are kept for ever. A month whose rows "
        "are not summed yet stays. Safe to run at any time."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="say what would go")
        parser.add_argument("--json", action="store_true", help="print it as JSON")

    def handle(self, **options: Any) -> None:
        pruned = prune(timezone.now().date(), dry_run=options["dry_run"])
        if pruned is None:
            raise CommandError("Another process is pruning just now.")
        if options["json"]:
            self.stdout.write(json.dumps(asdict(pruned)))
            return
        verb = "Would drop" if options["dry_run"] else "Dropped"
        for name in pruned.dropped:
            self.stdout.write(f"{verb} {name}.")
        for name in pruned.kept_unrolled:
            self.stdout.write(f"Kept {name}: its rows are not all in the sums yet.")
        if pruned.hours:
            self.stdout.write(f"{verb} {pruned.hours:,} sums by hour.")
        if not pruned.dropped and not pruned.hours:
            self.stdout.write("Nothing is older than what is kept.")
