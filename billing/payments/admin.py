"""Staff's pages of payments: to be looked at.  What Stripe decides, nobody edits here.

The few actions do what the worker would do anyway, sooner or once more.
"""

import json
from typing import Any, Final

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.decorators import action, display
from unfold.paginator import InfinitePaginator

from accounts.admin import ViewOnly
from billing.mails import MOST_ATTEMPTS
from billing.payments import hints, inbox, tasks
from billing.payments.models import (
    Customer,
    OutgoingMail,
    ReconcilerRun,
    SyncedObject,
    TierChange,
    WebhookEvent,
)
from billing.payments.stripe_api import API_VERSION
from billing.templatetags.money import money

STUCK_AFTER: Final = 10
"""Attempts of an event, from which on staff should look."""

_STATUS_COLOURS: Final = {
    "active": "success",
    "trialing": "success",
    "past_due": "warning",
    "unpaid": "danger",
}
_EVENT_COLOURS: Final = {
    "pending": "warning",
    "stuck": "danger",
    "done": "success",
    "ignored": "info",
}
_TIER_COLOURS: Final = {"free": "info", "pro": "success"}
_MAIL_COLOURS: Final = {"waiting": "warning", "sent": "success", "given up": "danger"}


class Rows(ViewOnly):
    """Rows that may be millions: no page counts them, and pages follow the key, which is time."""

    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    paginator = InfinitePaginator
    sortable_by = ()
    list_per_page = 50

    def has_act_permission(self, request: HttpRequest) -> bool:
        """The actions' permission: nobody edits these rows, so the right to is free for them."""
        return request.user.has_perm(f"billing.change_{self.opts.model_name}")

    def note(self, request: HttpRequest, rows: list[Any], text: str) -> None:
        """Writes what was done into the rows' history."""
        assert request.user.pk is not None  # the admin lets nobody else in
        LogEntry.objects.log_actions(request.user.pk, rows, CHANGE, text)


def links(*targets: tuple[str, str]) -> SafeString:
    """Links, each an address and its words, with commas between them."""
    return format_html_join(", ", '<a class="underline" href="{}">{}</a>', targets)


def found(model: str, text: str) -> str:
    """The address of a model's list, searched for a text."""
    return reverse(f"admin:billing_{model}_changelist", query={"q": text})


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


@admin.register(Customer)
class CustomerAdmin(Rows):
    """Users as Stripe knows them, as they were when they were fetched last."""

    list_display = (
        "user",
        "status_label",
        "price_key",
        "period_ends_at",
        "cancels_at",
        "amount_due",
        "dispute",
        "mode",
        "fetched_at",
    )
    list_select_related = ("user",)
    list_filter = ("status", "price_key", "disputed", "has_paid", "mode")
    search_fields = ("user__email", "stripe_id__exact", "subscription_id__exact")
    search_help_text = "E-mail address, or the customer's or subscription's id at Stripe"
    actions = ("fetch_now",)
    fieldsets = (
        (None, {"fields": ("user", "mode", "stripe_id", "see")}),
        (
            "As it was fetched last",
            {
                "fields": (
                    "fetched_at",
                    "status_label",
                    "subscription_id",
                    "price_key",
                    "period_ends_at",
                    "cancels_at",
                    "access_ends_at",
                    "amount_due",
                    "next_attempt_at",
                    "card",
                    "has_paid",
                    "dispute",
                )
            },
        ),
        ("The next fetch", {"fields": ("refresh_wanted_at", "refresh_failures")}),
    )

    @display(description="status", label=_STATUS_COLOURS)
    def status_label(self, customer: Customer) -> str:
        """The subscription's, at Stripe."""
        return customer.status or "none"

    @display(description="owed")
    def amount_due(self, customer: Customer) -> str:
        """What the open invoice asks for."""
        return money(customer.amount_due_cents) if customer.amount_due_cents else "–"

    @display(description="dispute", label={"open": "danger", "none": "info"})
    def dispute(self, customer: Customer) -> str:
        """Whether one is open, which is nothing to tick off in green."""
        return "open" if customer.disputed else "none"

    @display(description="card")
    def card(self, customer: Customer) -> str:
        """As pages show it."""
        return f"{customer.card_brand} …{customer.card_last_four}" if customer.card_brand else "–"

    @display(description="see")
    def see(self, customer: Customer) -> str:
        """Where else the customer is found."""
        about, email = customer.stripe_id or "", customer.user.email
        return links(
            (found("webhookevent", about), "events"),
            (found("checkout", about), "checkouts"),
            (found("tierchange", email), "audit trail"),
            (found("outgoingmail", email), "mails"),
        )

    @action(description="Fetch from Stripe now", permissions=("act",))
    def fetch_now(self, request: HttpRequest, queryset: QuerySet[Customer]) -> None:
        """Asks the worker for the customers' state, as an event about them would."""
        chosen = list(queryset.filter(mode=settings.STRIPE_MODE).exclude(stripe_id=None))
        hints.ask_for_refresh(
            Customer.objects.filter(pk__in=[one.pk for one in chosen]), timezone.now()
        )
        self.note(request, chosen, "Fetched from Stripe.")
        tasks.hurry()
        messages.success(request, f"Fetching {_counted(len(chosen), 'customer')} from Stripe.")


class TypeFilter(admin.SimpleListFilter):
    """Events by type: those that are listened to, so that no query has to find which there are."""

    title = "type"
    parameter_name = "type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """What can be chosen."""
        return [(one, one) for one in inbox.TYPES]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[WebhookEvent]
    ) -> QuerySet[WebhookEvent]:
        """The chosen type's events."""
        return queryset.filter(type=self.value()) if self.value() else queryset


@admin.register(WebhookEvent)
class WebhookEventAdmin(Rows):
    """The inbox: what Stripe delivered, and what came of it."""

    list_display = (
        "received_at",
        "type",
        "state_label",
        "attempts",
        "customer",
        "outcome",
        "event_id",
    )
    list_filter = ("state", TypeFilter, "foreign_version", "found_by_reconciler", "mode")
    search_fields = ("event_id__exact", "customer_stripe_id__exact")
    search_help_text = "The event's or the customer's id at Stripe"
    actions = ("act_again",)
    fieldsets = (
        (None, {"fields": ("event_id", "type", "customer", "mode", "came_by")}),
        (
            "What came of it",
            {"fields": ("state_label", "attempts", "outcome", "next_attempt_at", "processed_at")},
        ),
        ("When", {"fields": ("created_at", "received_at")}),
        ("What was delivered", {"fields": ("version", "payload_text")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[WebhookEvent]:
        """Without the payloads, which a list does not show."""
        rows: QuerySet[WebhookEvent] = super().get_queryset(request)
        return rows.defer("payload")

    @display(description="state", label=_EVENT_COLOURS)
    def state_label(self, event: WebhookEvent) -> str:
        """Pending, done or ignored; `stuck`: tried so often that somebody should look."""
        stuck = event.state == WebhookEvent.State.PENDING and event.attempts > STUCK_AFTER
        return "stuck" if stuck else event.state

    @display(description="customer", empty_value="–")
    def customer(self, event: WebhookEvent) -> str | None:
        """Linked by the id at Stripe."""
        if not event.customer_stripe_id:
            return None
        return links((found("customer", event.customer_stripe_id), event.customer_stripe_id))

    @display(description="came by")
    def came_by(self, event: WebhookEvent) -> str:
        """The way it came first."""
        return "the reconciler: no webhook brought it" if event.found_by_reconciler else "webhook"

    @display(description="API version")
    def version(self, event: WebhookEvent) -> str:
        """In which it was rendered."""
        version = event.api_version or "none"
        return f"{version}, and not {API_VERSION}" if event.foreign_version else version

    @display(description="payload")
    def payload_text(self, event: WebhookEvent) -> str:
        """As it was received, set for reading."""
        return format_html("<pre>{}</pre>", json.dumps(json.loads(event.payload), indent=2))

    @action(description="Act on it again", permissions=("act",))
    def act_again(self, request: HttpRequest, queryset: QuerySet[WebhookEvent]) -> None:
        """Lets the worker take ended events up anew, as if they had just been delivered."""
        ended = ~Q(state=WebhookEvent.State.PENDING)
        chosen = list(queryset.filter(ended, mode=settings.STRIPE_MODE))
        WebhookEvent.objects.filter(ended, pk__in=[one.pk for one in chosen]).update(
            state=WebhookEvent.State.PENDING,
            next_attempt_at=timezone.now(),
            processed_at=None,
            outcome="",
        )
        self.note(request, chosen, "Acted on again.")
        tasks.hurry()
        messages.success(request, f"Acting on {_counted(len(chosen), 'event')} again.")


@admin.register(TierChange)
class TierChangeAdmin(Rows):
    """The audit trail of what payments gave and took."""

    list_display = ("at", "user", "before", "after_label", "reason")
    list_select_related = ("user",)
    list_filter = ("after", "reason")
    search_fields = ("user__email",)
    search_help_text = "E-mail address"
    fields = ("at", "user", "before", "after_label", "reason", "detail_text")

    @display(description="after", label=_TIER_COLOURS)
    def after_label(self, change: TierChange) -> str:
        """The tier from then on."""
        return change.after

    @display(description="what Stripe said")
    def detail_text(self, change: TierChange) -> str:
        """Subscription, status and end."""
        return format_html("<pre>{}</pre>", json.dumps(change.detail, indent=2))


class MailStateFilter(admin.SimpleListFilter):
    """Mails by whether they went out."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """What can be chosen."""
        return [("waiting", "Waiting"), ("sent", "Sent"), ("given_up", "Given up")]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[OutgoingMail]
    ) -> QuerySet[OutgoingMail]:
        """The chosen ones."""
        match self.value():
            case "waiting":
                return queryset.filter(sent_at=None, attempts__lt=MOST_ATTEMPTS)
            case "sent":
                return queryset.exclude(sent_at=None)
            case "given_up":
                return queryset.filter(sent_at=None, attempts__gte=MOST_ATTEMPTS)
            case _:
                return queryset


@admin.register(OutgoingMail)
class OutgoingMailAdmin(Rows):
    """Mails that are owed, and whether they went out."""

    list_display = ("created_at", "user", "kind", "state_label", "attempts", "error", "sent_at")
    list_select_related = ("user",)
    list_filter = (MailStateFilter, "kind")
    search_fields = ("user__email",)
    search_help_text = "E-mail address"
    actions = ("send_again",)
    fields = (
        "user",
        "kind",
        "key",
        "context",
        "state_label",
        "attempts",
        "error",
        "created_at",
        "claimed_at",
        "sent_at",
    )

    @display(description="state", label=_MAIL_COLOURS)
    def state_label(self, mail: OutgoingMail) -> str:
        """Sent, waiting, or given up after too many attempts."""
        if mail.sent_at is not None:
            return "sent"
        return "given up" if mail.attempts >= MOST_ATTEMPTS else "waiting"

    @action(description="Send again", permissions=("act",))
    def send_again(self, request: HttpRequest, queryset: QuerySet[OutgoingMail]) -> None:
        """Makes mails due that were sent or failed.  One that is being sent now is left alone."""
        ended = ~Q(sent_at=None) | ~Q(error="") | Q(attempts__gte=MOST_ATTEMPTS)
        chosen = list(queryset.filter(ended))
        OutgoingMail.objects.filter(ended, pk__in=[one.pk for one in chosen]).update(
            claimed_at=None, sent_at=None, attempts=0, error=""
        )
        self.note(request, chosen, "Sent again.")
        messages.success(request, f"Sending {_counted(len(chosen), 'mail')} within seconds.")


@admin.register(SyncedObject)
class SyncedObjectAdmin(ViewOnly):
    """Where what is for sale is at Stripe: `manage.py sync_stripe` writes it."""

    list_display = ("key", "stripe_id", "mode", "synced_at")
    list_filter = ("mode",)
    search_fields = ("key", "stripe_id__exact")
    search_help_text = "Our name for it, or its id at Stripe"


@admin.register(ReconcilerRun)
class ReconcilerRunAdmin(ViewOnly):
    """When the reconciler last looked for what was lost, for each Stripe."""

    list_display = ("mode", "ran_at", "seen_until", "error")
