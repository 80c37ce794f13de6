"""What an account did, from the ledger: days, latest requests, averages.

Every query is bound to a span of ids: a UUIDv7 carries its time, so Postgres reads the partitions
of these months only.
"""

import datetime as dt
import uuid
from dataclasses import dataclass
from typing import Final

from django.db.models import Avg, Count, F, Q
from django.db.models.functions import TruncDate

from accounts.identifiers import uuid7_floor
from accounts.models import ApiToken
from billing.models import LedgerEntry

DAYS: Final = 14
_LATEST: Final = 10

_OUTCOMES: Final = {  # status → the words and tone, where it counts and where it does not
    (LedgerEntry.Status.RESERVED, True): ("running", "brand"),
    (LedgerEntry.Status.SETTLED, True): ("answered", "good"),
    (LedgerEntry.Status.CANCELLED, True): ("stopped", ""),
    (LedgerEntry.Status.CANCELLED, False): ("stopped, not charged", ""),
    (LedgerEntry.Status.FAILED, False): ("failed, not charged", "bad"),
    (LedgerEntry.Status.ABANDONED, True): ("interrupted", "warn"),
    (LedgerEntry.Status.ABANDONED, False): ("interrupted, not charged", "warn"),
}


@dataclass(frozen=True, slots=True)
class Day:
    """One UTC day's requests: those that count against limits, and those that don't."""

    date: dt.date
    charged: int
    uncharged: int

    @property
    def total(self) -> int:
        """Both together."""
        return self.charged + self.uncharged


@dataclass(frozen=True, slots=True)
class Line:
    """One request in the list of the latest."""

    entry: LedgerEntry
    token: str

    @property
    def outcome(self) -> str:
        """How it went, in words."""
        return self._outcome[0]

    @property
    def tone(self) -> str:
        """The badge's colour, beside the words."""
        return self._outcome[1]

    @property
    def latency(self) -> str:
        """From admission to the end: `34 ms`, `1.2 s`; empty while it runs."""
        if self.entry.ended_at is None:
            return ""
        seconds = max(0.0, (self.entry.ended_at - self.entry.admitted_at).total_seconds())
        return f"{seconds * 1000:.0f} ms" if seconds < 0.1 else f"{seconds:.1f} s"

    @property
    def _outcome(self) -> tuple[str, str]:
        return _OUTCOMES.get(
            (LedgerEntry.Status(self.entry.status), self.entry.charged), (self.entry.status, "")
        )


def days(account_id: uuid.UUID, today: dt.date) -> list[Day]:
    """The last 14 UTC days, today included, oldest first; a day without requests has zeros."""
    first = today - dt.timedelta(days=DAYS - 1)
    since = uuid7_floor(dt.datetime.combine(first, dt.time(), dt.UTC))
    rows = (
        LedgerEntry.objects.filter(account_id=account_id, id__gte=since)
        .annotate(day=TruncDate("admitted_at", tzinfo=dt.UTC))
        .values("day")
        .annotate(
            charged_requests=Count("id", filter=Q(charged=True)),
            uncharged_requests=Count("id", filter=Q(charged=False)),
        )
        .order_by("day")
    )
    counted = {row["day"]: row for row in rows}
    return [
        Day(date, row["charged_requests"], row["uncharged_requests"])
        if (row := counted.get(date))
        else Day(date, 0, 0)
        for date in (first + dt.timedelta(days=offset) for offset in range(DAYS))
    ]


def latest(account_id: uuid.UUID) -> list[Line]:
    """The account's last ten requests, newest first."""
    entries = list(LedgerEntry.objects.filter(account_id=account_id).order_by("-id")[:_LATEST])
    names = dict(
        ApiToken.objects.filter(pk__in={entry.token_id for entry in entries}).values_list(
            "pk", "name"
        )
    )
    return [
        Line(entry, names.get(entry.token_id, "") if entry.token_id else "") for entry in entries
    ]


def average_tokens(account_id: uuid.UUID, today: dt.date) -> int | None:
    """Tokens of a charged request, on average of the last 14 days; None without any."""
    first = dt.datetime.combine(today - dt.timedelta(days=DAYS - 1), dt.time(), dt.UTC)
    average = LedgerEntry.objects.filter(
        account_id=account_id,
        id__gte=uuid7_floor(first),
        charged=True,
        status__in=(LedgerEntry.Status.SETTLED, LedgerEntry.Status.CANCELLED),
    ).aggregate(average=Avg(F("prompt_tokens") + F("completion_tokens")))["average"]
    return max(1, round(average)) if average else None


def has_called(account_id: uuid.UUID) -> bool:
    """Whether a token of this account was ever used for a request."""
    return LedgerEntry.objects.filter(account_id=account_id, token_id__isnull=False).exists()


def requests_today(account_id: uuid.UUID, now: dt.datetime) -> dict[uuid.UUID, int]:
    """This UTC day's admitted requests of each token that had any."""
    midnight = now.astimezone(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    rows = (
        LedgerEntry.objects.filter(
            account_id=account_id, id__gte=uuid7_floor(midnight), token_id__isnull=False
        )
        .values("token_id")
        .annotate(requests=Count("id"))
    )
    return {row["token_id"]: row["requests"] for row in rows if row["token_id"] is not None}
