"""Staff's page of the ledger: found by request id or account, read-only for everybody.

It stays quick at any number of rows: no page counts them, each look-up goes through an index, and
pages follow the primary key, which carries the time.
"""

import contextlib
import datetime as dt
import json
import uuid
from decimal import Decimal
from typing import Any, Final

from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from unfold.decorators import display
from unfold.paginator import InfinitePaginator

from accounts.admin import ViewOnly
from accounts.identifiers import decode, uuid7_floor
from accounts.models import User
from billing.models import LedgerEntry, Refusal, Tier

STATUS_COLOURS: Final = {
    "reserved": "info",
    "settled": "success",
    "failed": "danger",
    "cancelled": "warning",
    "abandoned": "danger",
}
_MOST_ACCOUNTS: Final = 20  # of an e-mail search
_DAY: Final = dt.timedelta(days=1)


def dollars(micros: int, *, places: int = 6) -> str:
    """An amount in millionths of $1 as people read it: `$0.000150`."""
    return f"${Decimal(micros) / 1_000_000:,.{places}f}"


class DayFilter(admin.SimpleListFilter):
    """When a request came, by its id, which the table is partitioned and ordered by."""

    title = "day (UTC)"
    parameter_name = "day"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """What can be chosen."""
        return [("0", "Today"), ("1", "Yesterday"), ("7", "Last 7 days"), ("30", "Last 30 days")]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[LedgerEntry]
    ) -> QuerySet[LedgerEntry]:
        """The chosen days' rows."""
        if self.value() not in ("0", "1", "7", "30"):
            return queryset
        days = int(self.value() or 0)
        midnight = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
        chosen = queryset.filter(pk__gte=uuid7_floor(midnight - days * _DAY))
        return chosen.filter(pk__lt=uuid7_floor(midnight)) if days == 1 else chosen


@admin.register(LedgerEntry)
class LedgerEntryAdmin(ViewOnly):
    """Every admitted request."""

    list_display = (
        "request_id",
        "came",
        "account",
        "status_label",
        "model",
        "deployment",
        "tokens",
        "latency",
    )
    list_filter = ("status", DayFilter, "tier")
    show_facets = admin.ShowFacets.NEVER
    search_fields = ("id",)  # only to show the box: get_search_results says what it finds
    search_help_text = "Request id (req_…), the account's e-mail address, or its id"
    sortable_by = ()
    paginator = InfinitePaginator
    list_per_page = 50
    show_full_result_count = False
    fieldsets = (
        (None, {"fields": ("request_id", "account", "tier", "token_id", "status_label")}),
        ("What was asked", {"fields": ("model", "streamed", "reserved_tokens")}),
        (
            "What came of it",
            {
                "fields": (
                    "deployment",
                    "tokens",
                    "cached_tokens",
                    "estimated",
                    "charged",
                    "cost",
                    "charge",
                    "error_code",
                    "attempts_text",
                )
            },
        ),
        (
            "When",
            {"fields": ("admitted_at", "first_token_at", "ended_at", "deadline_at", "process_id")},
        ),
        ("Where from", {"fields": ("address", "address_counted", "session")}),
        ("Correction", {"fields": ("corrects", "requests", "reason")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[LedgerEntry]:
        """With the account's address: a subquery, since a visitor's id joins no user."""
        email = User.objects.filter(pk=OuterRef("account_id")).values("email")[:1]
        rows: QuerySet[LedgerEntry] = super().get_queryset(request)
        return rows.annotate(account_email=Subquery(email))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[LedgerEntry], search_term: str
    ) -> tuple[QuerySet[LedgerEntry], bool]:
        """Rows of a request id, of an account's id, or of accounts by e-mail address."""
        term = search_term.strip()
        if not term:
            return queryset, False
        if "@" in term:
            users = User.objects.filter(email__icontains=term).values_list("pk", flat=True)
            return queryset.filter(account_id__in=list(users[:_MOST_ACCOUNTS])), False
        for field, read in (("pk", _request_id), ("account_id", uuid.UUID)):
            with contextlib.suppress(ValueError):
                return queryset.filter(**{field: read(term)}), False
        return queryset.none(), False

    @display(description="request")
    def request_id(self, entry: LedgerEntry) -> str:
        """As its caller knows it."""
        return entry.request_id

    @display(description="came (UTC)")
    def came(self, entry: LedgerEntry) -> str:
        """When it was admitted."""
        return f"{entry.admitted_at:%d %b %H:%M:%S}"

    @display(description="account")
    def account(self, entry: LedgerEntry) -> str:
        """The user, linked, or the visitor."""
        page, text = ("accounts_user", getattr(entry, "account_email", None))
        if entry.tier == Tier.VISITOR.value:
            page, text = "accounts_visitor", "visitor"
        if text is None:
            return str(entry.account_id)
        url = reverse(f"admin:{page}_change", args=(entry.account_id,))
        return format_html('<a href="{}">{}</a>', url, text)

    @display(description="status", label=STATUS_COLOURS)
    def status_label(self, entry: LedgerEntry) -> str:
        """How it ended, or that it runs."""
        return entry.status

    @display(description="tokens")
    def tokens(self, entry: LedgerEntry) -> str:
        """Prompt and completion."""
        return f"{entry.prompt_tokens:,} + {entry.completion_tokens:,}"

    @display(description="provider cost")
    def cost(self, entry: LedgerEntry) -> str:
        """What the provider took."""
        return dollars(entry.cost_micros)

    @display(description="plan price")
    def charge(self, entry: LedgerEntry) -> str:
        """What the plan charged."""
        return dollars(entry.price_micros)

    @display(description="latency")
    def latency(self, entry: LedgerEntry) -> str:
        """From admission to the end."""
        if entry.ended_at is None:
            return "–"
        return f"{(entry.ended_at - entry.admitted_at).total_seconds() * 1000:,.0f} ms"

    @display(description="attempts")
    def attempts_text(self, entry: LedgerEntry) -> str:
        """Each deployment tried, and its outcome."""
        return format_html("<pre>{}</pre>", json.dumps(entry.attempts, indent=2))


@admin.register(Refusal)
class RefusalAdmin(ViewOnly):
    """Requests that were not admitted.  Of somebody who hammers, one row stands for several."""

    list_display = ("request_id", "came", "code", "limit", "tier", "account_id", "address", "times")
    list_filter = (DayFilter, "code", "tier")
    show_facets = admin.ShowFacets.NEVER
    search_fields = ("id",)  # only to show the box: get_search_results says what it finds
    search_help_text = "Request id (req_…), or the account's id"
    sortable_by = ()
    paginator = InfinitePaginator
    list_per_page = 50
    show_full_result_count = False
    fields = (
        "request_id",
        "came",
        "code",
        "limit",
        "message",
        "model",
        "account_id",
        "token_id",
        "tier",
        "address",
        "times",
    )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Refusal], search_term: str
    ) -> tuple[QuerySet[Refusal], bool]:
        """The refusal of a request id, or those of an account's id."""
        term = search_term.strip()
        if not term:
            return queryset, False
        for field, read in (("pk", _request_id), ("account_id", uuid.UUID)):
            with contextlib.suppress(ValueError):
                return queryset.filter(**{field: read(term)}), False
        return queryset.none(), False

    @display(description="request")
    def request_id(self, refusal: Refusal) -> str:
        """As its response carried it."""
        return refusal.request_id

    @display(description="came")
    def came(self, refusal: Refusal) -> dt.datetime:
        """When, by its id."""
        return dt.datetime.fromtimestamp((refusal.pk.int >> 80) / 1000, dt.UTC)

    @display(description="refusals")
    def times(self, refusal: Refusal) -> int:
        """How many it stands for."""
        return refusal.stands_for


def _request_id(term: str) -> uuid.UUID:
    return decode("req", term.replace("REQ_", "req_"))
