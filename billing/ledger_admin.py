"""Staff's page of the ledger: found by request id or account, read-only for everybody.

It stays quick at any number of rows: no page counts them, each look-up goes through an index, and
pages follow the primary key, which carries the time.
"""

import contextlib
import datetime as dt
import json
import uuid
from decimal import Decimal
from typing import Any, Final, TypeVar

from django import forms
from django.contrib import admin, messages
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm
from unfold.paginator import InfinitePaginator
from unfold.widgets import UnfoldAdminTextInputWidget

from accounts.admin import ViewOnly, back_to
from accounts.identifiers import decode, encode, uuid7_floor
from accounts.models import User
from billing.metering.corrections import (
    LONGEST_REASON,
    NotCorrected,
    corrections_of,
    take_back,
)
from billing.models import LedgerEntry, Refusal, Tier

STATUS_COLOURS: Final = {
    "reserved": "info",
    "settled": "success",
    "failed": "danger",
    "cancelled": "warning",
    "abandoned": "danger",
    "correction": "info",
}
_MOST_ACCOUNTS: Final = 20  # of an e-mail search
_DAY: Final = dt.timedelta(days=1)


_Row = TypeVar("_Row", LedgerEntry, Refusal)


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


class ReasonForm(BaseDialogForm):
    """Why a request is taken back."""

    reason = forms.CharField(
        max_length=LONGEST_REASON,
        widget=UnfoldAdminTextInputWidget,
        help_text="Kept with the correction.",
    )


@admin.register(LedgerEntry)
class LedgerEntryAdmin(ViewOnly):
    """Every admitted request, and the corrections beside them."""

    actions_detail = ("take_back",)
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
        ("Corrections", {"fields": ("corrected", "reason", "corrections")}),
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
        return found_by_id(queryset, term), False

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

    @display(description="corrects")
    def corrected(self, entry: LedgerEntry) -> str:
        """The row that this one corrects, linked."""
        return _links([(entry.corrects, encode("req", entry.corrects))]) if entry.corrects else "–"

    @display(description="corrected by")
    def corrections(self, entry: LedgerEntry) -> str:
        """Its corrections, linked."""
        return _links([(one.pk, one.reason) for one in corrections_of(entry)]) or "–"

    def has_take_back_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """For a request that has ended and was charged."""
        return (
            request.user.has_perm("billing.change_ledgerentry")
            and LedgerEntry.objects.filter(pk=object_id, charged=True, corrects=None)
            .exclude(status=LedgerEntry.Status.RESERVED)
            .exists()
        )

    @action(
        description="Take back",
        permissions=("take_back",),
        icon="undo",
        variant=ActionVariant.DANGER,
        dialog={
            "title": "Take this request back?",
            "description": "It counts as none any more, in limits, sums and price, by a row of its "
            "own with your reason. This row stays as it is.",
            "form_class": ReasonForm,
            "form_submit_text": "Take back",
        },
    )
    def take_back(
        self, request: HttpRequest, form: forms.Form, object_id: uuid.UUID
    ) -> HttpResponse:
        """Corrects a request to nothing."""
        entry = LedgerEntry.objects.get(pk=object_id)
        reason = form.cleaned_data["reason"]
        try:
            take_back(entry, reason=reason)
        except NotCorrected as refusal:
            messages.error(request, str(refusal))
        else:
            self.log_change(request, entry, f"Taken back: {reason}")
            messages.success(request, f"Taken back: {entry.request_id}.")
        return back_to("billing_ledgerentry", object_id)


def _links(rows: list[tuple[uuid.UUID, str]]) -> str:
    return format_html_join(
        ", ",
        '<a class="underline" href="{}">{}</a>',
        ((reverse("admin:billing_ledgerentry_change", args=(key,)), text) for key, text in rows),
    )


def found_by_id(queryset: QuerySet[_Row], term: str) -> QuerySet[_Row]:
    """The row of the request id that a search term names, or those of the account's id."""
    for field, read in (("pk", _request_id_in), ("account_id", uuid.UUID)):
        with contextlib.suppress(ValueError):
            return queryset.filter(**{field: read(term)})
    return queryset.none()


def _request_id_in(term: str) -> uuid.UUID:
    return decode("req", term.replace("REQ_", "req_"))
