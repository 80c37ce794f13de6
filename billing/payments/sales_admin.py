"""Staff's pages of what leads to a payment and back: funnel, offers, referrals, checkouts."""

from typing import Any, Final

from django import forms
from django.contrib import admin, messages
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html_join
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminTextInputWidget

from accounts.admin import back_to
from accounts.models import User
from billing.payments import referrals
from billing.payments.admin import Rows, links
from billing.payments.models import (
    Checkout,
    FunnelEvent,
    HeldOffer,
    Referral,
    ReferralCode,
    Repayment,
)
from billing.templatetags.money import money

_CHECKOUT_COLOURS: Final = {"open": "warning", "complete": "success", "expired": "info"}
_REFERRAL_COLOURS: Final = {
    "waiting": "info",
    "earned": "warning",
    "rewarded": "success",
    "void": "danger",
}


@admin.register(Checkout)
class CheckoutAdmin(Rows):
    """Pages of Stripe's on which users were to pay, and what came of them."""

    list_display = ("created_at", "user", "state_label", "price_key", "total", "ended_at")
    list_select_related = ("customer__user",)
    list_filter = ("state", "price_key")
    search_fields = ("customer__user__email", "customer__stripe_id__exact", "stripe_id__exact")
    search_help_text = "E-mail address, or the customer's or session's id at Stripe"
    fields = (
        "user",
        "stripe_id",
        "state_label",
        "price_key",
        "offer",
        "total",
        "referral",
        "created_at",
        "expires_at",
        "ended_at",
    )

    @display(description="user")
    def user(self, checkout: Checkout) -> str:
        """Whose it is, linked to the customer."""
        page = reverse("admin:billing_customer_change", args=(checkout.customer_id,))
        return links((page, checkout.customer.user.email))

    @display(description="state", label=_CHECKOUT_COLOURS)
    def state_label(self, checkout: Checkout) -> str:
        """Open, complete or expired."""
        return checkout.state

    @display(description="first payment")
    def total(self, checkout: Checkout) -> str:
        """In dollars."""
        return money(checkout.total_cents)

    @display(description="as it was offered")
    def offer(self, checkout: Checkout) -> str:
        """The lines that were shown."""
        lines = ((money(line["cents"]), line["title"]) for line in checkout.lines)
        return format_html_join("", "<div>{} {}</div>", lines)


@admin.register(Repayment)
class RepaymentAdmin(Rows):
    """Money that was given back without anybody asking."""

    list_display = ("at", "user", "refunded", "reason", "subscription_id")
    list_select_related = ("customer__user",)
    search_fields = ("customer__user__email", "subscription_id__exact")
    search_help_text = "E-mail address, or the subscription's id at Stripe"
    fields = ("at", "customer", "subscription_id", "refunded", "reason")

    @display(description="user")
    def user(self, repayment: Repayment) -> str:
        """Whose money it was."""
        return repayment.customer.user.email

    @display(description="refunded")
    def refunded(self, repayment: Repayment) -> str:
        """In dollars."""
        return money(repayment.refunded_cents)


@admin.register(ReferralCode)
class ReferralCodeAdmin(Rows):
    """What users' friends sign up with."""

    list_display = ("user", "code", "created_at")
    list_select_related = ("user",)
    ordering = ("-pk",)
    search_fields = ("user__email", "code__exact")
    search_help_text = "E-mail address, or the code"


class VoidForm(BaseDialogForm):
    """Why a referral does not count."""

    reason = forms.CharField(
        max_length=200, widget=UnfoldAdminTextInputWidget, help_text="Kept with the referral."
    )


@admin.register(Referral)
class ReferralAdmin(Rows):
    """Who brought whom, and what it came to."""

    list_display = ("created_at", "referrer", "referred", "state_label", "credit", "paid_at")
    list_select_related = ("referrer", "referred")
    list_filter = ("state",)
    search_fields = ("referrer__email", "referred__email")
    search_help_text = "E-mail address of either"
    fields = (
        "referrer",
        "referred",
        "state_label",
        "reason",
        "credit",
        "created_at",
        "expires_at",
        "paid_at",
        "rewarded_at",
    )
    actions_detail = ("void",)

    @display(description="state", label=_REFERRAL_COLOURS)
    def state_label(self, referral: Referral) -> str:
        """How far it has come."""
        return referral.state

    @display(description="credited")
    def credit(self, referral: Referral) -> str:
        """To the referrer, in dollars."""
        return money(referral.credit_cents) if referral.credit_cents else "–"

    def has_void_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """For a referral whose reward was not given yet."""
        return (
            self.has_act_permission(request)
            and Referral.objects.filter(
                pk=object_id, state__in=(Referral.State.WAITING, Referral.State.EARNED)
            ).exists()
        )

    @action(
        description="Void",
        permissions=("void",),
        icon="block",
        variant=ActionVariant.DANGER,
        dialog={
            "title": "Void this referral?",
            "description": "Neither side gains from it any more. What was paid with its discount "
            "stays paid.",
            "form_class": VoidForm,
            "form_submit_text": "Void",
        },
    )
    def void(self, request: HttpRequest, form: forms.Form, object_id: int) -> HttpResponse:
        """Makes it count for nothing."""
        referral = Referral.objects.get(pk=object_id)
        reason = form.cleaned_data["reason"]
        if referrals.void(referral, reason):
            self.log_change(request, referral, f"Voided: {reason}")
            messages.success(request, f"Voided: {referral}.")
        else:
            messages.error(request, "Its reward has just been given.")
        return back_to("billing_referral", object_id)


@admin.register(HeldOffer)
class HeldOfferAdmin(Rows):
    """Discounts that users were shown and may still take."""

    list_display = ("user", "discount", "held_until")
    list_select_related = ("user",)
    ordering = ("-pk",)
    search_fields = ("user__email",)
    search_help_text = "E-mail address"


@admin.register(FunnelEvent)
class FunnelEventAdmin(Rows):
    """Steps towards paying."""

    list_display = ("at", "account", "kind", "trigger", "channel")
    list_filter = ("kind", "trigger", "channel")
    fields = ("at", "account", "kind", "trigger", "channel", "window")

    def get_queryset(self, request: HttpRequest) -> QuerySet[FunnelEvent]:
        """With the account's address: a subquery, since a visitor's id joins no user."""
        email = User.objects.filter(pk=OuterRef("account_id")).values("email")[:1]
        rows: QuerySet[FunnelEvent] = super().get_queryset(request)
        return rows.annotate(account_email=Subquery(email))

    @display(description="account")
    def account(self, event: Any) -> str:
        """The user, linked, or the visitor's id."""
        if event.account_email is None:
            return str(event.account_id)
        page = reverse("admin:accounts_user_change", args=(event.account_id,))
        return links((page, event.account_email))
