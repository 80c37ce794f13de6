"""Mails that are owed: written in the transaction of what they tell, sent by the worker."""

import datetime as dt
import logging
import time
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import Q
from django.template import Context, Engine

from accounts.models import User
from billing.payments.models import OutgoingMail

logger = logging.getLogger(__name__)

MOST_ATTEMPTS: Final = 10
"""After so many it is left to staff, who see it in the admin; that is some eight hours."""

_LONGEST_RUN: Final = 300.0  # seconds: half of _LOST_AFTER
_LOST_AFTER: Final = dt.timedelta(minutes=10)
_AT_ONCE: Final = 50  # at ten seconds each, the mail server's time-out, still within _LOST_AFTER
_FAILURES_IN_A_ROW: Final = 3
_LONGEST_ERROR: Final = 300


def owe(user: User, kind: str, *, key: str, **context: Any) -> None:
    """A mail from `templates/mail/KIND.txt` with this context (JSON values), once for each key."""
    OutgoingMail.objects.bulk_create(
        [OutgoingMail(user=user, kind=kind, key=key, context=context)], ignore_conflicts=True
    )


def send_due(now: dt.datetime) -> int:
    """Sends the mails that are due, oldest first; how many went out.

    A mail is sent at least once.  A mail server and a database share no transaction: a process
    that is killed after the one and before the other leaves a mail that may have gone.  Not
    sending it could keep from somebody that their payment failed, so it is sent again, ten minutes
    after it was claimed, with the same Message-ID, by which mailboxes know the second one.  But
    for that it is sent once, by however many workers at the same time.
    """
    sent = failures = 0
    began = time.monotonic()
    for _ in range(_AT_ONCE):
        # With a slow server: what a run claims last must not look lost before it is sent.
        if time.monotonic() - began > _LONGEST_RUN or (mail := _claim(now)) is None:
            break
        if _send(mail, now):
            sent, failures = sent + 1, 0
        elif (failures := failures + 1) == _FAILURES_IN_A_ROW:
            break  # the server is away rather than a mail at fault; the next run tries others
    return sent


@transaction.atomic
def _claim(now: dt.datetime) -> OutgoingMail | None:
    """The next mail, from now on this process's.

    The claim is committed before it is sent: a lock would be held as long as the server takes.
    """
    due = OutgoingMail.objects.filter(_due(now), sent_at=None, attempts__lt=MOST_ATTEMPTS)
    mail = (
        due.select_for_update(of=("self",), skip_locked=True, no_key=True)
        .select_related("user")
        .order_by("created_at")
        .first()
    )
    if mail is not None:
        mail.claimed_at, mail.error = now, ""
        mail.attempts += 1
        mail.save(update_fields=["claimed_at", "error", "attempts"])
    return mail


def _due(now: dt.datetime) -> Q:
    """New ones, those whose sender was lost, and those that failed: a minute ago, then two, …"""
    due = Q(claimed_at=None) | Q(error="", claimed_at__lte=now - _LOST_AFTER)
    for attempts in range(1, MOST_ATTEMPTS):
        wait = dt.timedelta(minutes=2 ** (attempts - 1))
        due |= Q(attempts=attempts, claimed_at__lte=now - wait) & ~Q(error="")
    return due


def _send(mail: OutgoingMail, now: dt.datetime) -> bool:
    if not mail.user.is_active:
        mail.attempts, mail.error = MOST_ATTEMPTS, "The account is suspended."
        mail.save(update_fields=["attempts", "error"])
        return True  # nothing failed
    try:
        _message(mail).send()
    except Exception as error:  # noqa: BLE001  (whatever is wrong with one, the others have to go)
        reason = f"{type(error).__name__}: {error}"[:_LONGEST_ERROR].replace("\0", "")
        logger.warning("mail %s (%s), attempt %d: %s", mail.pk, mail.kind, mail.attempts, reason)
        mail.error = reason
        mail.save(update_fields=["error"])
        return False
    mail.sent_at = now
    mail.save(update_fields=["sent_at"])
    return True


def _message(mail: OutgoingMail) -> EmailMessage:
    """The mail to the account's address of now: first line subject, an empty one, the body."""
    context = {**mail.context, "site": settings.PUBLIC_URL}
    template = Engine.get_default().get_template(f"mail/{mail.kind}.txt")
    subject, _, body = template.render(Context(context, autoescape=False)).partition("\n\n")
    host = urlsplit(settings.PUBLIC_URL).hostname
    headers = {"Message-ID": f"<{mail.pk}@{host}>", "Auto-Submitted": "auto-generated"}
    return EmailMessage(subject.strip(), body.strip() + "\n", to=[mail.user.email], headers=headers)
