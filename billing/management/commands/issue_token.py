"""`manage.py issue_token EMAIL`: a token for somebody, who is made a user if need be."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError
from django.core.validators import validate_email
from django.db import transaction

from accounts.database_command import DatabaseCommand
from accounts.models import ApiToken, User
from billing.models import Subscription, Tier


class Command(DatabaseCommand):
    help = (
        "Prints a new API token for this e-mail address, once. Makes the user if there is none; "
        "with --tier, puts them on that plan. Rerun, it adds another token."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email")
        parser.add_argument(
            "--tier",
            choices=[Tier.FREE.value, Tier.PRO.value],
            help="grant this plan (not given: the plan stays as it is)",
        )
        parser.add_argument("--name", default="issued by staff", help="what lists call the token")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *, email: str, tier: str | None, name: str, **options: Any) -> None:
        issued = _issue(email=_checked(email), tier=tier, name=name[:60])
        if options["json"]:
            self.stdout.write(json.dumps(issued))
            return
        made = "New user" if issued["user_created"] else "User"
        self.stdout.write(f"{made} {issued['email']}, {issued['tier']} plan.")
        self.stdout.write(f"Token “{issued['name']}”, shown this once:")
        self.stdout.write(issued["token"])


def _checked(email: str) -> str:
    try:
        validate_email(email)
    except ValidationError as error:
        raise CommandError(f"{email!r} is no e-mail address.") from error
    return email.lower()


@transaction.atomic
def _issue(*, email: str, tier: str | None, name: str) -> dict[str, Any]:
    user = User.objects.filter(email=email).first()
    created = user is None
    if user is None:
        user = User.objects.create_user(email)
    elif not user.is_active:
        raise CommandError(f"{email} is suspended: a token would open nothing.")
    if tier is not None:
        Subscription.objects.update_or_create(
            user=user,
            source=Subscription.Source.STAFF,
            defaults={"tier": tier, "ends_at": None},
        )
    token, secret = ApiToken.objects.issue(user=user, name=name)
    return {
        "email": email,
        "user_id": str(user.pk),
        "user_created": created,
        "tier": Subscription.objects.tier_of(user.pk),
        "token_id": str(token.pk),
        "name": token.name,
        "token": secret,
    }
