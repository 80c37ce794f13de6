"""What an account did: days and averages from the roll-ups, the latest requests from the ledger.

No query reads more for what was long ago: roll-ups have a row for each day, and of the ledger only
what is not rolled up yet is read, or the newest few rows of an index.
"""

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from accounts.identifiers import uuid7_floor
from accounts.models import ApiToken
from billing.metering.figures import Figures
from billing.metering.rollups import REACH, unrolled_since
from billing.metering.rows import NOBODY
from billing.metering.spent import By, Span, rolled_to, spent
from billing.models import LedgerEntry, UsageDay

DAYS: Final = 14
_LATEST: Final = 10

_OUTCOMES: Final = {  # status → the words and tone, where it counts and where it does not
    (LedgerEntry.Status.RESERVED, True): ("running", "brand"),
    (LedgerEntry.Status.SETTLED, True): ("answered", "good"),
    (LedgerEntry.Status.CANCELLED, True): ("stopped", ""),
    (LedgerEntry.Status.CANCELLED, False): ("stopped, not charged", ""),
    (LedgerEntry.Status.FAILED, False): ("failed, not charged", "bad"),
    (LedgerEntry.Status.CORRECTION, True): ("correction", ""),
    (LedgerEntry.Status.ABANDONED, True): ("interrupted", "warn"),
    (LedgerEntry.Status.ABANDONED, False): ("interrupted, not charged", "warn"),
}


@dataclass(frozen=True, slots=True)
class Day:
    """One UTC day's requests: those that count against limits, and those that don't."""

    date: dt.date
    figures: Figures

    @property
    def charged(self) -> int:
        """Requests that count."""
        return self.figures.requests

    @property
    def uncharged(self) -> int:
        """Requests that ended and don't count."""
        return self.figures.free_requests

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
        """From admission to the end: `34 ms`, `1.2 s`; empty while it runs, or for a correction."""
        if self.entry.ended_at is None or self.entry.corrects is not None:
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
    counted = spent(account_id, Span(first, today), By.DAY)
    dates = (first + dt.timedelta(days=offset) for offset in range(DAYS))
    return [Day(date, counted.get(date, Figures())) for date in dates]


def average_tokens(past: Sequence[Day]) -> int | None:
    """Tokens of a charged request, on average of these days; None without any."""
    requests = sum(day.charged for day in past)
    tokens = sum(day.figures.total_tokens for day in past)
    return max(1, round(tokens / requests)) if requests > 0 else None


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


def has_called(account_id: uuid.UUID) -> bool:
    """Whether a token of this account was ever used for a request."""
    if UsageDay.objects.filter(account_id=account_id).exclude(token_id=NOBODY).exists():
        return True
    rows = LedgerEntry.objects.filter(account_id=account_id, token_id__isnull=False)
    if (since := unrolled_since(rolled_to())) is not None:
        rows = rows.filter(id__gte=uuid7_floor(since - REACH))
    return rows.exists()


def requests_today(account_id: uuid.UUID, now: dt.datetime) -> dict[uuid.UUID, int]:
    """This UTC day's ended requests, charged or not, of each token that had any."""
    today = now.astimezone(dt.UTC).date()
    return {
        token_id: figures.requests + figures.free_requests
        for token_id, figures in spent(account_id, Span(today, today), By.TOKEN).items()
        if token_id != NOBODY
    }
