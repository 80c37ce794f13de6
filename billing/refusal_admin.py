"""Staff's page of requests that were not admitted: found by request id or account."""

import datetime as dt

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.decorators import display
from unfold.paginator import InfinitePaginator

from accounts.admin import ViewOnly
from billing.ledger_admin import DayFilter, found_by_id
from billing.models import Refusal


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
        return (found_by_id(queryset, term) if term else queryset), False

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
