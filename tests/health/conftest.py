"""Requests in the ledger, with what each deployment that was tried came to."""

import datetime as dt
from typing import Any

from django.utils import timezone

from accounts.identifiers import uuid7
from billing.models import LedgerEntry


def entry(*attempts: tuple[str, str, int], ago: dt.timedelta, **fields: Any) -> LedgerEntry:
    """A request that ended so long ago; an attempt is a deployment, an outcome and milliseconds.

    It has ended well if its last attempt did.
    """
    ended_at = timezone.now() - ago
    took = dt.timedelta(milliseconds=sum(one[2] for one in attempts))
    good = bool(attempts) and attempts[-1][1] == "completed"
    values: dict[str, Any] = {
        "account_id": uuid7(),
        "tier": "free",
        "model": "m",
        "deployment": attempts[-1][0] if good else "",
        "status": "settled" if good else "failed",
        "error_code": "" if good else "server_is_overloaded",
        "charged": good,
        "streamed": False,
        "reserved_tokens": 300,
        "prompt_tokens": 20 if good else 0,
        "completion_tokens": 30 if good else 0,
        "attempts": [
            {"deployment": name, "outcome": outcome, "milliseconds": milliseconds}
            for name, outcome, milliseconds in attempts
        ],
        "admitted_at": ended_at - took,
        "ended_at": ended_at,
        "process_id": uuid7(),
        "deadline_at": ended_at,
    } | fields
    identity = uuid7(int((ended_at - took).timestamp() * 1000))
    return LedgerEntry(id=identity, **values)


def enter(count: int, *attempts: tuple[str, str, int], ago: dt.timedelta, **fields: Any) -> None:
    """As many of them."""
    LedgerEntry.objects.bulk_create(entry(*attempts, ago=ago, **fields) for _ in range(count))
