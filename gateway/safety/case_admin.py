"""Staff's queue of what looks like abuse: what was seen, what it leads to, and what they decide."""

from typing import Any, ClassVar, Final

from django import forms
from django.contrib import admin, messages
from django.db.models import Case, OuterRef, QuerySet, Subquery, Value, When
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminTextareaWidget

from accounts.admin import ViewOnly, back_to
from accounts.models import User
from billing.models import Tier
from gateway.safety import cases
from gateway.safety.models import AbuseCase, AbuseCaseChange, AbuseThresholds, Level

_COLOURS: Final = {"watch": "info", "throttle": "warning", "block": "danger"}
_STATES: Final = {"open": "warning", "confirmed": "danger", "dismissed": "success", "ended": "info"}
_WAITING_FIRST: Final = Case(When(state="open", then=Value(0)), default=Value(1))
_APPEALED_FIRST: Final = Case(
    When(state="open", appealed_at__isnull=False, then=Value(0)), default=Value(1)
)


class NoteForm(BaseDialogForm):
    """Why staff decide so; it stays with the case."""

    note = forms.CharField(
        max_length=400, required=False, label="Note", widget=UnfoldAdminTextareaWidget
    )


def _dialog(title: str, description: str, button: str) -> dict[str, Any]:
    return {
        "title": title,
        "description": description,
        "form_submit_text": button,
        "form_class": NoteForm,
    }


class Changes(TabularInline):
    """A case's history."""

    model = AbuseCaseChange
    fields = ("at", "text", "level", "score", "state", "effect_until", "by")
    readonly_fields = fields
    extra = 0
    can_delete = False
    hide_title = True
    verbose_name_plural = "History"

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never: it is written with each change."""
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[AbuseCaseChange]:
        """With who decided."""
        rows: QuerySet[AbuseCaseChange] = super().get_queryset(request)
        return rows.select_related("by")


@admin.register(AbuseCase)
class AbuseCaseAdmin(ViewOnly):
    """Cases: those that wait for staff first, and of them those whose users have appealed."""

    list_display = (
        "whose", "level_label", "score", "why", "state_label", "appealed", "opened_at",
        "effect_until",
    )  # fmt: skip
    list_display_links = ("whose",)
    list_filter = ("state", "level")
    search_fields = ("=account_id", "=address")
    search_help_text = "The account’s id, its e-mail address, or a network address"
    sortable_by = ()
    ordering = (_WAITING_FIRST, _APPEALED_FIRST, "-score", "-opened_at")
    show_full_result_count = False
    list_per_page = 50
    inlines = (Changes,)
    fieldsets = (
        (None, {"fields": ("about", "level_label", "score", "state_label", "tier")}),
        ("What was seen", {"fields": ("seen", "requests")}),
        ("Since and until", {"fields": ("opened_at", "effect_until", "judged_to")}),
        ("What people say", {"fields": ("appeal", "appealed_at", "note", "decided_by")}),
    )
    readonly_fields = ("about", "level_label", "state_label", "seen", "requests")
    actions_detail = ("dismiss", "confirm_slow", "confirm_block", "lift")

    def get_queryset(self, request: HttpRequest) -> QuerySet[AbuseCase]:
        """With the account's address: a subquery, since a visitor's id joins no user."""
        email = User.objects.filter(pk=OuterRef("account_id")).values("email")[:1]
        rows: QuerySet[AbuseCase] = super().get_queryset(request)
        return rows.annotate(account_email=Subquery(email))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[AbuseCase], search_term: str
    ) -> tuple[QuerySet[AbuseCase], bool]:
        """Cases of an e-mail address, an account's id, or a network address or its beginning."""
        term = search_term.strip()
        if not term:
            return queryset, False
        if "@" in term:
            users = User.objects.filter(email__icontains=term).values("pk")
            return queryset.filter(account_id__in=users), False
        by_id = queryset.extra(
            where=["(account_id::text = %s OR host(address) LIKE %s)"],
            params=[term.lower(), f"{_escaped(term)}%"],
        )
        return by_id, False

    @display(description="whose")
    def whose(self, case: Any) -> str:
        """The user, the visitor, or the network address."""
        if case.address:
            return str(case.address)
        if case.account_email:
            return str(case.account_email)
        return "a visitor" if case.tier == Tier.VISITOR else str(case.account_id)

    @display(description="whose")
    def about(self, case: Any) -> str:
        """The same, linked."""
        if case.address or (case.account_email is None and case.tier != Tier.VISITOR):
            return str(case.subject)
        page = "user" if case.account_email else "visitor"
        url = reverse(f"admin:accounts_{page}_change", args=(case.account_id,))
        return format_html('<a href="{}">{}</a>', url, self.whose(case))

    @display(description="level", label=_COLOURS)
    def level_label(self, case: AbuseCase) -> tuple[str, str]:
        """What it comes to."""
        return case.level, Level(case.level).label

    @display(description="state", label=_STATES)
    def state_label(self, case: AbuseCase) -> str:
        """Whether staff have decided."""
        return case.state

    @display(description="why")
    def why(self, case: AbuseCase) -> str:
        """The strongest reason."""
        return next(iter(case.reason_texts), "–")

    @display(description="appeal", label={"appeal": "warning"})
    def appealed(self, case: AbuseCase) -> str | None:
        """Whether the user has something to say."""
        return "appeal" if case.appealed_at else None

    @display(description="reasons, with their points")
    def seen(self, case: AbuseCase) -> SafeString:
        """What each detector saw."""
        lines = ((one["points"], one["text"]) for one in case.reasons)
        return format_html_join("", "<div>{} · {}</div>", lines)

    @display(description="requests")
    def requests(self, case: AbuseCase) -> str:
        """Where the requests themselves are."""
        if case.account_id is None:
            return "–"
        url = f"{reverse('admin:billing_ledgerentry_changelist')}?q={case.account_id}"
        return format_html('<a href="{}">in the ledger</a>', url)

    def has_dismiss_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """For a case that nobody has decided."""
        return self._may_decide(request, object_id, AbuseCase.State.OPEN)

    has_confirm_permission = has_dismiss_permission

    def has_lift_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """For a case that is not over."""
        return self._may_decide(request, object_id, *AbuseCase.STANDING)

    @action(
        description="Dismiss",
        permissions=("dismiss",),
        icon="thumb_up",
        dialog=_dialog(
            "Nothing is wrong here?",
            "The effect ends within a second, and the same behaviour opens no case for 30 days.",
            "Dismiss",
        ),
    )
    def dismiss(self, request: HttpRequest, form: forms.Form, object_id: Any) -> HttpResponse:
        """It was no abuse."""
        note = form.cleaned_data["note"]
        case = cases.dismiss(object_id, _staff(request), note)
        return self._told(request, case, object_id, "Dismissed", note)

    @action(
        description="Confirm: slow down",
        permissions=("confirm",),
        icon="speed",
        dialog=_dialog(
            "Slow this down until you lift it?",
            "A quarter of the requests an hour and at once is left, for a paying account as well.",
            "Slow down",
        ),
    )
    def confirm_slow(self, request: HttpRequest, form: forms.Form, object_id: Any) -> HttpResponse:
        """It is abuse, and is slowed down."""
        return self._confirm(request, form, object_id, Level.THROTTLE)

    @action(
        description="Confirm: block",
        permissions=("confirm",),
        icon="block",
        variant=ActionVariant.DANGER,
        dialog=_dialog(
            "Block this until you lift it?",
            "Every request is refused, with the reason. Dashboard and billing keep working.",
            "Block",
        ),
    )
    def confirm_block(self, request: HttpRequest, form: forms.Form, object_id: Any) -> HttpResponse:
        """It is abuse, and is blocked."""
        return self._confirm(request, form, object_id, Level.BLOCK)

    @action(
        description="Lift",
        permissions=("lift",),
        icon="lock_open",
        dialog=_dialog(
            "End the effect now?",
            "It was abuse and is over. If it happens again, that is a new case.",
            "Lift",
        ),
    )
    def lift(self, request: HttpRequest, form: forms.Form, object_id: Any) -> HttpResponse:
        """It was abuse and has had its effect."""
        note = form.cleaned_data["note"]
        case = cases.lift(object_id, _staff(request), note)
        return self._told(request, case, object_id, "Lifted", note)

    def _confirm(
        self, request: HttpRequest, form: forms.Form, object_id: Any, level: Level
    ) -> HttpResponse:
        note = form.cleaned_data["note"]
        case = cases.confirm(object_id, _staff(request), note, level)
        return self._told(request, case, object_id, f"Confirmed, {level.label}", note)

    def _may_decide(self, request: HttpRequest, object_id: Any, *states: str) -> bool:
        return (
            request.user.has_perm("gateway.change_abusecase")
            and AbuseCase.objects.filter(pk=object_id, state__in=states).exists()
        )

    def _told(
        self, request: HttpRequest, case: AbuseCase | None, object_id: Any, done: str, note: str
    ) -> HttpResponse:
        if case is None:
            messages.warning(request, "The case was over already, or somebody decided before you.")
        else:
            self.log_change(request, case, f"{done}. {note}".strip())
            messages.success(request, f"{done}: {case.subject}.")
        return back_to("gateway_abusecase", object_id)


@admin.register(AbuseThresholds)
class AbuseThresholdsAdmin(ModelAdmin):
    """From which scores on something happens: one row."""

    list_display = ("__str__", "enabled", "watch", "throttle", "block")
    fieldsets: ClassVar = (
        (None, {"fields": ("enabled",)}),
        ("Scores", {"fields": ("watch", "throttle", "block")}),
        ("Hours", {"fields": ("watch_hours", "throttle_hours", "block_hours")}),
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Where there is none yet."""
        allowed: bool = super().has_add_permission(request)
        return allowed and not AbuseThresholds.objects.exists()

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False


def _staff(request: HttpRequest) -> User:
    assert isinstance(request.user, User)
    return request.user


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
