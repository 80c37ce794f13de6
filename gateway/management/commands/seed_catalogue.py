"""`manage.py seed_catalogue`: creates the models, deployments and prices that are missing."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from accounts.database_command import DatabaseCommand
from gateway.catalogue.seed import seed


class Command(DatabaseCommand):
    help = (
        "Creates the starting catalogue's missing models, deployments, placements and prices. "
        "Never changes a row that exists. Safe to rerun."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print what was created as JSON")

    def handle(self, **options: Any) -> None:
        created = asdict(seed())
        if options["json"]:
            self.stdout.write(json.dumps(created))
            return
        new = [f"{len(names)} {kind}" for kind, names in created.items() if names]
        self.stdout.write(
            f"Catalogue: created {', '.join(new)}." if new else "Catalogue: nothing was missing."
        )
