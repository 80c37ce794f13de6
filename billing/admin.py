"""Staff's pages for users with their plan, subscriptions, prices and gateway processes.

Django looks for this module alone: it brings the other ones of billing along.
"""

import datetime as dt
from typing import Any, Final

from django import forms
from django.contrib import admin
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html_join
from unfold.admin import ModelAdmin, StackedInline
from unfold.decorators import display

from accounts.admin import UserAdmin, ViewOnly
from accounts.models import User
from accounts.postgres import PostgresUnavailable
from billing import limits_admin, refusal_admin
from billing.ledger_admin import LedgerEntryAdmin, dollars
from billing.metering.quota import QuotaUnavailable
from billing.metering.standing import usage_now
from billing.metering.usage import LimitState
from billing.models import GatewayProcess, Price, Subscription, Tier
from billing.payments import sales_admin
from billing.payments.admin import found, links
from billing.payments.models import Customer

__all__ = ["LedgerEntryAdmin", "limits_admin", "refusal_admin", "sales_admin"]

_SILENT_AFTER: Final = dt.timedelta(seconds=30)  # three heartbeats
_PROCESS_COLOURS: Final = {"live": "success", "silent": "danger", "ended": "info"}
_TIER_COLOURS: Final = {"free": "info", "pro": "success"}
_LIMIT_TITLES: Final = {
    "tokens_per_day": "tokens today",
    "requests_per_day": "requests today",
    "requests_per_hour": "requests this hour",
    "concurrent_requests": "running now",
}


def _pro_now() -> QuerySet[Subscription]:
    return Subscription.objects.in_force().filter(user=OuterRef("pk"), tier=Tier.PRO.value)


class PlanFilter(admin.SimpleListFilter):
    """Users by the plan they are on now."""

    title = "plan"
    parameter_name = "plan"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """What can be chosen."""
        return [(Tier.FREE.value, "Free"), (Tier.PRO.value, "Pro")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> QuerySet[User]:
        """The users on the chosen plan."""
        match self.value():
            case Tier.PRO.value:
                return queryset.filter(Exists(_pro_now()))
            case Tier.FREE.value:
                return queryset.exclude(Exists(_pro_now()))
            case _:
                return queryset


class GrantForm(forms.ModelForm):  # type: ignore[type-arg]
    """A subscription as staff give it."""

    class Meta:
        model = Subscription
        fields = ("user", "tier", "ends_at")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk is None:
            self.instance.source = Subscription.Source.STAFF


class SubscriptionInline(StackedInline):
    """What staff grant, on the user's page.  What is paid is shown there and not edited."""

    model = Subscription
    form = GrantForm
    fields = ("tier", "ends_at")
    extra = 0
    max_num = 1
    verbose_name = "staff grant"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Subscription]:
        """Staff's own."""
        rows: QuerySet[Subscription] = super().get_queryset(request)
        return rows.filter(source=Subscription.Source.STAFF)


@admin.register(User)
class AccountAdmin(UserAdmin):
    """Users with their plan, and what they have used of it."""

    list_display = ("email", "plan", "standing", "is_staff", "date_joined")
    list_filter = (PlanFilter, "is_active", "is_staff")
    readonly_fields = (*UserAdmin.readonly_fields, "usage", "more", "paid", "payments")
    fieldsets = (
        UserAdmin.fieldsets[0],
        ("Used of the plan", {"fields": ("usage", "more")}),
        ("Payments", {"fields": ("paid", "payments")}),
        *UserAdmin.fieldsets[1:],
    )
    inlines = (SubscriptionInline,)

    def get_inlines(self, request: HttpRequest, obj: User | None) -> tuple[type, ...]:
        """None while the user is being added."""
        return () if obj is None else (SubscriptionInline,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        """With whether each is on pro, in the same query."""
        users: QuerySet[User] = super().get_queryset(request)
        return users.annotate(on_pro=Exists(_pro_now()))

    @display(description="plan", label=_TIER_COLOURS)
    def plan(self, user: Any) -> str:
        """The tier they are on now."""
        return Tier.PRO.value if user.on_pro else Tier.FREE.value

    @display(description="by the counters")
    def usage(self, user: User) -> str:
        """Each limit, from the counters that admission decides by."""
        try:
            states = usage_now(user.pk).states
        except (QuotaUnavailable, PostgresUnavailable):
            return "The counters are away just now."
        return format_html_join("", "<div>{}</div>", ((_sentence(state),) for state in states))

    @display(description="see")
    def more(self, user: User) -> str:
        """Where the account's requests and tokens are listed."""
        tokens = reverse("admin:accounts_apitoken_changelist", query={"q": user.email})
        return links((found("ledgerentry", str(user.pk)), "requests"), (tokens, "tokens"))

    @display(description="through Stripe")
    def paid(self, user: User) -> str:
        """What they pay for now, and until when it is good."""
        paid = user.subscriptions.filter(source=Subscription.Source.STRIPE).first()
        if paid is None or paid.tier_now == Tier.FREE:
            return "Nothing now."
        until = f"until {paid.ends_at:%d %b %Y, %H:%M} UTC" if paid.ends_at else "without an end"
        return f"{paid.get_tier_display()}, as it stands {until}."

    @display(description="see")
    def payments(self, user: User) -> str:
        """The customer at each Stripe, and what was written about them."""
        customers = [
            (reverse("admin:billing_customer_change", args=(one.pk,)), f"customer in {one.mode}")
            for one in Customer.objects.filter(user=user)
        ]
        return links(
            *customers,
            (found("tierchange", user.email), "audit trail"),
            (found("checkout", user.email), "checkouts"),
            (found("referral", user.email), "referrals"),
            (found("outgoingmail", user.email), "mails"),
        )


def _sentence(state: LimitState) -> str:
    most = "" if state.max is None else f" of {state.max:,}"
    until = f", resets {state.resets_at:%H:%M} UTC" if state.max and state.resets_at else ""
    return f"{state.used:,}{most} {_LIMIT_TITLES[state.name]}{until}"


@admin.register(Subscription)
class SubscriptionAdmin(ModelAdmin):
    """Who is on which plan, and why."""

    form = GrantForm
    list_display = ("user", "tier", "in_force", "source", "ends_at", "updated_at")
    list_select_related = ("user",)
    list_filter = ("tier", "source")
    search_fields = ("user__email",)
    search_help_text = "E-mail address"
    autocomplete_fields = ("user",)
    readonly_fields = ("source", "created_at", "updated_at")
    fields = ("user", "tier", "ends_at", "source", "created_at", "updated_at")
    show_full_result_count = False

    def get_readonly_fields(
        self, request: HttpRequest, obj: Subscription | None = None
    ) -> tuple[str, ...]:
        """A subscription stays its user's."""
        return self.readonly_fields if obj is None else ("user", *self.readonly_fields)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Not for what is paid: Stripe decides that."""
        return not _is_paid(obj) and bool(super().has_change_permission(request, obj))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Not for what is paid: Stripe decides that."""
        return not _is_paid(obj) and bool(super().has_delete_permission(request, obj))

    @display(description="in force", boolean=True)
    def in_force(self, subscription: Subscription) -> bool:
        """Whether it gives its tier now."""
        return subscription.tier_now == subscription.tier


def _is_paid(subscription: Subscription | None) -> bool:
    return subscription is not None and subscription.source == Subscription.Source.STRIPE


@admin.register(Price)
class PriceAdmin(ModelAdmin):
    """Prices are added, never changed: ledger rows were settled at the ones that were in force."""

    list_display = ("subject", "kind", "prompt", "completion", "valid_from")
    list_filter = ("kind",)
    search_fields = ("subject",)
    search_help_text = "Deployment or model"

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never: a new price supersedes the old one."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never: a new price supersedes the old one."""
        return False

    @display(description="$ per million prompt tokens", ordering="prompt_micros")
    def prompt(self, price: Price) -> str:
        """In dollars."""
        return dollars(price.prompt_micros, places=2)

    @display(description="$ per million completion tokens", ordering="completion_micros")
    def completion(self, price: Price) -> str:
        """In dollars."""
        return dollars(price.completion_micros, places=2)


@admin.register(GatewayProcess)
class GatewayProcessAdmin(ViewOnly):
    """The processes that hold reservations, and whether they still beat."""

    list_display = ("id", "state", "host", "pid", "started_at", "heartbeat_at", "ended_at")
    list_filter = (("ended_at", admin.EmptyFieldListFilter),)
    search_fields = ("host",)
    show_full_result_count = False

    @display(description="state", label=_PROCESS_COLOURS)
    def state(self, process: GatewayProcess) -> str:
        """Live, ended, or silent: dead without having said so."""
        return state_of(process)[0]


def state_of(process: GatewayProcess) -> tuple[str, str]:
    """`live`, `ended` or `silent` (dead without having said so), and the colour that shows it."""
    if process.ended_at is not None:
        state = "ended"
    else:
        silent = timezone.now() - process.heartbeat_at > _SILENT_AFTER
        state = "silent" if silent else "live"
    return state, _PROCESS_COLOURS[state]
