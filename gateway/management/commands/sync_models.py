"""`manage.py sync_models FILE`: takes a LiteLLM proxy's configuration into the catalogue."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from accounts.database_command import DatabaseCommand
from gateway.catalogue.litellm_config import ConfigError, read_config
from gateway.catalogue.sync import Changes, sync


class Command(DatabaseCommand):
    help = (
        "Reads a LiteLLM proxy's configuration (YAML) and creates or changes the public models, "
        "deployments and placements that it names. All or nothing; deletes nothing. Safe to rerun."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "file", type=Path, help="the configuration, as LiteLLM's proxy reads it"
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="write nothing, say what would be"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, **options: Any) -> None:
        path: Path = options["file"]
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{path} can't be read: {error}") from error
        try:
            changes = sync(read_config(text), dry_run=options["dry_run"])
        except ConfigError as error:
            raise CommandError(f"{path}: {error}. Nothing was changed.") from error
        if options["json"]:
            self.stdout.write(json.dumps(asdict(changes) | {"dry_run": options["dry_run"]}))
        else:
            self._print(changes, dry_run=options["dry_run"])

    def _print(self, changes: Changes, *, dry_run: bool) -> None:
        for line in changes.created:
            self.stdout.write(f"+ {line}")
        for line in changes.changed:
            self.stdout.write(f"~ {line}")
        for line in changes.remarks:
            self.stdout.write(f"! {line}")
        would = "Would be" if dry_run else "Done"
        self.stdout.write(
            f"{would}: {len(changes.created)} created, {len(changes.changed)} changed, "
            f"{changes.unchanged} as they were."
        )
