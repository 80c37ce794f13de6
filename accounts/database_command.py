"""What `manage.py` commands that need the database have in common."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError


class DatabaseCommand(BaseCommand):
    """A command that says in one line, not in a traceback, that the database is away."""

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Runs the command; CommandError when the database can't be reached."""
        try:
            return super().execute(*args, **options)
        except OperationalError as error:
            reason = str(error).strip().splitlines()[0]
            raise CommandError(
                f"The database can't be reached ({reason}). Start it with `make run`, or set "
                "DATABASE_URL; `manage.py doctor` checks everything."
            ) from error
