"""On how many of the last days an account came close to a day's limits, from the ledger."""

import datetime as dt
import uuid
from typing import Final

from django.db.models import F, Q, Sum
from django.db.models.functions import TruncDate

from accounts.identifiers import uuid7_floor
from billing.models import LedgerEntry
from billing.plans import Limits
from billing.tiers import Tier

DAYS: Final = 7
NEAR: Final = 0.8
"""From this share of a day's limit on a day counts as heavy."""


def heavy_days(account_id: uuid.UUID, limits: Limits, now: dt.datetime) -> int:
    """Of the last seven UTC days, today included: those with 80 % of requests or tokens used."""
    near = Q()
    if limits.requests_per_day:
        near |= Q(requests__gte=NEAR * limits.requests_per_day)
    if limits.tokens_per_day:
        near |= Q(tokens__gte=NEAR * limits.tokens_per_day)
    if not near:
        return 0
    first = now.astimezone(dt.UTC).date() - dt.timedelta(days=DAYS - 1)
    return (
        LedgerEntry.objects.filter(
            account_id=account_id,
            id__gte=uuid7_floor(dt.datetime.combine(first, dt.time(), dt.UTC)),
            charged=True,
            tier=Tier.FREE,  # what was used on pro is not held against the free plan's limits
        )
        .annotate(day=TruncDate("admitted_at", tzinfo=dt.UTC))
        .values("day")
        .annotate(requests=Sum("requests"), tokens=Sum(F("prompt_tokens") + F("completion_tokens")))
        .filter(near)
        .order_by()
        .count()
    )
