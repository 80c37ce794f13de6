"""Bring the database up to date: tables, catalogue, what is for sale, and a first staff account.

    python -m scalix.embedded.database_content [--staff-password-file FILE]

What is for sale is brought to the payment sandbox only: to Stripe itself the operator brings it.
One process for all of it: each would spend most of its time loading the application.
"""

import argparse
import os
import secrets
from pathlib import Path

import django
from django.conf import settings
from django.core.management import call_command
from django.db import transaction

STAFF_EMAIL = "admin@scalix.localhost"


def main() -> None:
    """Safe to run again, and by two at once: the migrations take a lock."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--staff-password-file", type=Path, default=None)
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "scalix.settings")
    django.setup()
    call_command("migrate", interactive=False, verbosity=0)
    call_command("seed_catalogue")
    if settings.EMBEDDED_STRIPE:
        call_command("sync_stripe")
    if options.staff_password_file is not None:
        ensure_staff(options.staff_password_file)


def ensure_staff(password_file: Path) -> None:
    """Where no staff account exists, make one, with a random password in `password_file`.

    The file is readable by its owner only. It may be deleted once read: the account stays.
    """
    from allauth.account.models import EmailAddress

    from accounts.models import User

    with transaction.atomic():
        if User.objects.filter(is_staff=True).exists():
            return
        password = secrets.token_urlsafe(18)
        user = User.objects.create_superuser(STAFF_EMAIL, password)
        EmailAddress.objects.create(user=user, email=STAFF_EMAIL, verified=True, primary=True)
        # Written before the account is committed: a password without its account is replaced
        # by the next start, an account without its password could only be reset.
        _write_private(password_file, password)


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    path.touch(mode=0o600, exist_ok=False)
    path.write_text(f"{text}\n")


if __name__ == "__main__":
    main()
