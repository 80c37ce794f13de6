"""Puts requests into an account's past, for pages that show it."""

import datetime as dt
import uuid
from typing import Any

from accounts.identifiers import uuid7
from billing.models import LedgerEntry


def spend(
    account_id: uuid.UUID,
    requests: int,
    *,
    tokens: int = 100,
    at: dt.datetime | None = None,
    **fields: Any,
) -> list[LedgerEntry]:
    """Writes that many ended requests of `tokens` each; `at` is when, now if not given."""
    at = at or dt.datetime.now(dt.UTC)
    told: dict[str, Any] = {
        "tier": "free",
        "model": "scalix-free",
        "deployment": "upstream",
        "status": LedgerEntry.Status.SETTLED,
        "charged": True,
        "prompt_tokens": tokens // 4,
        "completion_tokens": tokens - tokens // 4,
        "ended_at": at + dt.timedelta(seconds=1.2),
    } | fields
    rows = [
        LedgerEntry(
            id=uuid7(int(at.timestamp() * 1000)),
            account_id=account_id,
            streamed=False,
            reserved_tokens=tokens,
            admitted_at=at,
            process_id=uuid.uuid4(),
            deadline_at=at,
            **told,
        )
        for _ in range(requests)
    ]
    return LedgerEntry.objects.bulk_create(rows)
