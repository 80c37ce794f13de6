"""Mails that are owed: written in the transaction of what they tell, sent by the worker."""

from typing import Any

from accounts.models import User
from billing.payments.models import OutgoingMail


def owe(user: User, kind: str, *, key: str, **context: Any) -> None:
    """A mail from `templates/mail/KIND.txt` with this context (JSON values), once for each key."""
    OutgoingMail.objects.bulk_create(
        [OutgoingMail(user=user, kind=kind, key=key, context=context)], ignore_conflicts=True
    )
