"""Staff's pages of what accounts may spend: the plans, and other limits for single users."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from unfold.admin import ModelAdmin
from unfold.decorators import action, display
from unfold.enums import ActionVariant

from accounts.admin import back_to
from billing.models import Allowance, Plan


@admin.register(Plan)
class PlanAdmin(ModelAdmin):
    """The limits of each tier.  Every process acts on a change within a second."""

    list_display = (
        "tier",
        "requests_per_hour",
        "requests_per_day",
        "tokens_per_day",
        "concurrent_requests",
        "requests_per_session",
        "address_requests_per_minute",
        "address_requests_per_hour",
        "address_accounts_per_hour",
    )
    sortable_by = ()
    fieldsets = (
        (None, {"fields": ("tier",)}),
        (
            "An account",
            {
                "fields": (
                    "requests_per_hour",
                    "requests_per_day",
                    "tokens_per_day",
                    "concurrent_requests",
                    "requests_per_session",
                )
            },
        ),
        (
            "A network address, all its accounts together",
            {
                "fields": (
                    "address_requests_per_minute",
                    "address_requests_per_hour",
                    "address_accounts_per_hour",
                )
            },
        ),
        (
            "A request",
            {"fields": ("context_window", "prompt_characters", "default_max_tokens")},
        ),
    )
    readonly_fields = ("tier",)
    empty_value_display = "no limit"

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Never: the code knows three tiers."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never: the code knows three tiers."""
        return False


@admin.register(Allowance)
class AllowanceAdmin(ModelAdmin):
    """Other limits for one user.  Each acts within a second; one that was given stays on record."""

    list_display = ("user", "limit", "kind", "amount", "in_force", "starts_at", "ends_at", "reason")
    list_select_related = ("user",)
    list_filter = ("limit", "kind")
    search_fields = ("user__email", "reason")
    search_help_text = "E-mail address, or a word of the reason"
    autocomplete_fields = ("user",)
    fields = ("user", "limit", "kind", "amount", "starts_at", "ends_at", "reason")
    empty_value_display = "no limit"
    show_full_result_count = False
    actions_detail = ("withdraw",)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Not what was given once: it is withdrawn, and another one given."""
        return obj is None and bool(super().has_change_permission(request, obj))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never: it explains what was admitted."""
        return False

    def save_model(
        self, request: HttpRequest, obj: Allowance, form: forms.Form, change: bool
    ) -> None:
        """Notes who gave it."""
        obj.granted_by_id = request.user.pk
        super().save_model(request, obj, form, change)

    def has_withdraw_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """For one that has not ended."""
        still = Allowance.objects.exclude(ends_at__lte=timezone.now())
        return request.user.has_perm("billing.change_allowance") and bool(
            object_id is None or still.filter(pk=object_id).exists()
        )

    @action(
        description="Withdraw",
        permissions=("withdraw",),
        icon="block",
        variant=ActionVariant.DANGER,
        dialog={
            "title": "Withdraw this allowance?",
            "description": "From the next second on the plan's own limit holds again.",
            "form_submit_text": "Withdraw",
        },
    )
    def withdraw(self, request: HttpRequest, form: forms.Form, object_id: int) -> HttpResponse:
        """Ends it now."""
        allowance = Allowance.objects.get(pk=object_id)
        allowance.ends_at = timezone.now()
        allowance.save(update_fields=["ends_at"])
        self.log_change(request, allowance, "Withdrawn.")
        messages.success(request, f"Withdrawn: {allowance}.")
        return back_to("billing_allowance", object_id)

    @display(description="in force", boolean=True)
    def in_force(self, allowance: Allowance) -> bool:
        """Whether it counts now."""
        now = timezone.now()
        ended = allowance.ends_at is not None and allowance.ends_at <= now
        return allowance.starts_at <= now and not ended
