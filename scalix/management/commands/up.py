"""`manage.py up`: start the whole product and keep it running."""

import os
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from scalix.embedded.errors import EmbeddedError
from scalix.embedded.launch import Launch, launch


class Command(BaseCommand):
    """Ends with status 0 after Ctrl-C or SIGTERM, with 1 and the reason when it cannot start."""

    help = (
        "Starts Postgres, Valkey, the demo model and the payment sandbox (those that the"
        " environment doesn't replace), brings the database up to date, then runs web, worker and"
        " beat until Ctrl-C."
    )
    requires_system_checks = ()  # they would load the application, which belongs to the parts

    def handle(self, **_: Any) -> None:
        os.chdir(settings.BASE_DIR)  # the parts are started as modules of this checkout
        wanted = Launch(
            paths=settings.EMBEDDED_PATHS,
            project=settings.BASE_DIR,
            postgres=settings.EMBEDDED_POSTGRES,
            valkey=settings.EMBEDDED_VALKEY,
            demo_model=settings.EMBEDDED_DEMO_MODEL,
            payments=settings.EMBEDDED_STRIPE,
            port=settings.PORT,
            web_processes=settings.WEB_PROCESSES,
        )
        try:
            launch(wanted)
        except EmbeddedError as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:  # before the supervisor listens for it: nothing runs yet
            raise CommandError("interrupted") from None
