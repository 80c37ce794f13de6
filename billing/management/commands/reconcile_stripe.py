"""`manage.py reconcile_stripe`: looks for lost payments now, as the beat does every 10 minutes."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError

from accounts.database_command import DatabaseCommand
from billing.payments.reconcile import reconcile
from billing.payments.stripe_api import StripeError, worker_api


class Command(DatabaseCommand):
    help = (
        "Compares every customer with Stripe, fetches events that no webhook brought, and acts "
        "on what it finds. Safe to run at any time, also while the worker runs."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print what was found as JSON")

    def handle(self, **options: Any) -> None:
        if not settings.PAYMENTS:
            raise CommandError("STRIPE_SECRET_KEY is not set: there is no Stripe to compare with.")
        try:
            found = reconcile(worker_api())
        except StripeError as error:
            raise CommandError(f"Stripe: {error}. Nothing is lost; run it again.") from error
        if options["json"]:
            self.stdout.write(json.dumps(asdict(found)))
            return
        self.stdout.write(
            f"Lost events: {found.lost_events}. Customers that differed: {found.differing}. "
            f"Tiers of another Stripe, ended: {found.of_another_mode}."
        )
