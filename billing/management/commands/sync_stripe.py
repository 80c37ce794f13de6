"""`manage.py sync_stripe`: what is for sale, brought to Stripe."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError

from accounts.database_command import DatabaseCommand
from billing.payments.stripe_api import StripeError, worker_api
from billing.payments.sync import sync


class Command(DatabaseCommand):
    help = (
        "Creates or matches the product, its prices, the coupons and the customer portal's "
        "settings at Stripe. Safe to rerun: what is there already stays as it is."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
        parser.add_argument("--json", action="store_true", help="print what was done as JSON")

    def handle(self, *, dry_run: bool, **options: Any) -> None:
        if not settings.PAYMENTS:
            raise CommandError("STRIPE_SECRET_KEY is not set: there is no Stripe to bring it to.")
        try:
            done = sync(worker_api(), dry_run=dry_run)
        except StripeError as error:
            raise CommandError(f"Stripe: {error}. Nothing is lost; run it again.") from error
        if options["json"]:
            self.stdout.write(json.dumps([asdict(one) for one in done]))
            return
        changed = [one for one in done if one.action != "matched"]
        for one in changed:
            verb = f"would be {one.action}" if dry_run else one.action
            self.stdout.write(f"{one.key}: {verb}")
        self.stdout.write(
            f"Stripe ({settings.STRIPE_MODE}): {len(done) - len(changed)} of {len(done)} objects "
            "were as they should be."
        )
