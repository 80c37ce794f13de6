"""`manage.py grant EMAIL LIMIT AMOUNT`: another limit for one user, for a while or for good."""

import datetime as dt
import json
from argparse import ArgumentParser
from typing import Any, Final

from django.core.management.base import CommandError
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from accounts.database_command import DatabaseCommand
from accounts.models import User
from billing.models import Allowance

_NO_LIMIT: Final = "none"


class Command(DatabaseCommand):
    help = (
        "Gives a user another limit than their plan's, which acts within a second. AMOUNT is added "
        "with a plus (+100), replaces the plan's without one (500), and none lifts the limit."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email")
        parser.add_argument("limit", choices=Allowance.Limit.values)
        parser.add_argument("amount")
        parser.add_argument("--reason", required=True, help="why; it stays on record")
        end = parser.add_mutually_exclusive_group()
        end.add_argument("--until", help="when it ends: 2026-12-31T00:00Z, by UTC")
        end.add_argument("--days", type=int, help="after how many days it ends")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, **options: Any) -> None:
        user = User.objects.filter(email=options["email"].lower()).first()
        if user is None:
            raise CommandError(f"There is no user {options['email']}.")
        kind, amount = _amount(options["amount"])
        ends_at = _end(options["until"], options["days"])
        try:
            with transaction.atomic():
                allowance = Allowance.objects.create(
                    user=user,
                    limit=options["limit"],
                    kind=kind,
                    amount=amount,
                    ends_at=ends_at,
                    reason=options["reason"][:300],
                )
        except IntegrityError as error:
            raise CommandError("One request at once is the least that can be given.") from error
        given = {
            "email": user.email,
            "limit": allowance.limit,
            "kind": kind,
            "amount": amount,
            "ends_at": ends_at and ends_at.isoformat(),
        }
        end = f"until {ends_at:%Y-%m-%d %H:%M} UTC" if ends_at else "until it is withdrawn"
        said = json.dumps(given) if options["json"] else f"{allowance}, {end}."
        self.stdout.write(said)


def _amount(text: str) -> tuple[str, int | None]:
    if text == _NO_LIMIT:
        return Allowance.Kind.SET.value, None
    kind = Allowance.Kind.ADD if text.startswith("+") else Allowance.Kind.SET
    digits = text.removeprefix("+")
    if not (digits.isascii() and digits.isdigit()) or int(digits) >= 2**31:
        raise CommandError(f"{text!r} is no amount: say 500, +100 or none.")
    return kind.value, int(digits)


def _end(until: str | None, days: int | None) -> dt.datetime | None:
    if days is not None:
        if not 0 < days <= 36_500:
            raise CommandError("--days is a number of days, from 1 on.")
        return timezone.now() + dt.timedelta(days=days)
    if until is None:
        return None
    try:
        moment = parse_datetime(until)
    except ValueError:
        moment = None
    if moment is None:
        raise CommandError(f"{until!r} is no moment: say 2026-12-31T00:00Z.")
    moment = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    if moment <= timezone.now():
        raise CommandError(f"{until} is over.")
    return moment
