"""Staff's pages for quality: where deployments stand and why, what has changed, what people say."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm

from accounts.admin import ViewOnly, back_to
from accounts.models import User
from gateway.health import quality
from gateway.health.models import HealthEvent, OpenCircuit, QualityStanding, Rating
from gateway.health.reports import HEARD_WITHIN

_UNITS = {
    "answers": "{:,}",
    "success": "{:.1%}",
    "timeouts": "{:,}",
    "first_token_ms": "{:,} ms",
    "first_token_p95_ms": "{:,} ms",
    "tokens_per_second": "{:,}",
    "tokens_per_answer": "{:,}",
    "thumbs_up": "{:,}",
    "thumbs_down": "{:,}",
}


def open_circuits() -> Subquery:
    """In how many processes the circuit of the outer query's `name` is open."""
    heard = OpenCircuit.objects.filter(
        deployment=OuterRef("name"), heard_at__gte=timezone.now() - HEARD_WITHIN
    )
    return Subquery(heard.values("deployment").annotate(count=Count("process_id")).values("count"))


@admin.register(QualityStanding)
class QualityStandingAdmin(ViewOnly):
    """Where each deployment stands, those that lost their places first."""

    list_display = (
        "deployment", "place", "success", "answers", "first_token", "tokens_per_second", "thumbs",
        "since",
    )  # fmt: skip
    list_display_links = ("deployment",)
    list_filter = ("lowered",)
    list_select_related = ("deployment",)
    search_fields = ("deployment__name",)
    sortable_by = ()
    show_full_result_count = False
    fieldsets = (
        (None, {"fields": ("deployment", "place", "since", "held_until", "holds", "judged_at")}),
        ("Figures", {"fields": ("five_minutes", "hour", "day")}),
    )
    readonly_fields = ("place", "five_minutes", "hour", "day")
    actions_detail = ("give_back",)

    @display(description="place", label={"lost": "danger", "kept": "success", "off": "info"})
    def place(self, standing: QualityStanding) -> tuple[str, str]:
        """Whether it has its place, and whether that acts."""
        if not standing.lowered:
            return "kept", "kept"
        if not standing.deployment.quality_routing:
            return "off", "lost, without effect: quality routing is off"
        return "lost", "lost"

    @display(description="success, 5 minutes")
    def success(self, standing: QualityStanding) -> str:
        """Of its attempts."""
        return _figure(standing, "5m", "success")

    @display(description="answers, an hour")
    def answers(self, standing: QualityStanding) -> str:
        """How many there were to judge."""
        return _figure(standing, "1h", "answers")

    @display(description="first token, median of an hour")
    def first_token(self, standing: QualityStanding) -> str:
        """Of streams."""
        return _figure(standing, "1h", "first_token_ms")

    @display(description="tokens a second")
    def tokens_per_second(self, standing: QualityStanding) -> str:
        """While it generates."""
        return _figure(standing, "1h", "tokens_per_second")

    @display(description="thumbs, a day")
    def thumbs(self, standing: QualityStanding) -> str:
        """Up and down."""
        up, down = (_figure(standing, "24h", name) for name in ("thumbs_up", "thumbs_down"))
        return f"{up} up, {down} down"

    @display(description="five minutes")
    def five_minutes(self, standing: QualityStanding) -> SafeString:
        """All figures."""
        return _all_figures(standing, "5m")

    @display(description="an hour")
    def hour(self, standing: QualityStanding) -> SafeString:
        """The same."""
        return _all_figures(standing, "1h")

    @display(description="a day")
    def day(self, standing: QualityStanding) -> SafeString:
        """The same."""
        return _all_figures(standing, "24h")

    def has_give_back_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """For one that has lost its place."""
        return (
            request.user.has_perm("gateway.change_qualitystanding")
            and QualityStanding.objects.filter(pk=object_id, lowered=True).exists()
        )

    @action(
        description="Give its place back",
        permissions=("give_back",),
        icon="undo",
        dialog={
            "title": "Give this deployment its place back?",
            "description": "What came before does not count any more. "
            "If it goes on failing it loses its place again.",
            "form_submit_text": "Give it back",
            "form_class": BaseDialogForm,
        },
    )
    def give_back(
        self,
        request: HttpRequest,
        form: forms.Form,
        object_id: Any,
    ) -> HttpResponse:
        """Its place is its own again."""
        standing = QualityStanding.objects.select_related("deployment").get(pk=object_id)
        assert isinstance(request.user, User)
        if quality.reset(standing, request.user):
            self.log_change(request, standing, "Gave its place back.")
            messages.success(request, f"{standing.deployment} has its place back.")
        else:
            messages.warning(request, f"{standing.deployment} had its place back already.")
        return back_to("gateway_qualitystanding", object_id)


@admin.register(HealthEvent)
class HealthEventAdmin(ViewOnly):
    """Every change of a deployment's health, with its figures."""

    list_display = ("at", "deployment", "what", "text", "by")
    list_select_related = ("by",)
    list_filter = ("kind", "deployment")
    search_fields = ("deployment", "text")
    show_full_result_count = False

    @display(
        description="what",
        label={"lowered": "danger", "circuit_opened": "warning", "probe_failed": "warning"},
    )
    def what(self, event: HealthEvent) -> tuple[str, str]:
        """In words."""
        return event.kind, event.get_kind_display()


@admin.register(Rating)
class RatingAdmin(ViewOnly):
    """What people think of answers."""

    list_display = ("rated_at", "deployment", "thumb", "comment")
    list_filter = ("up", "deployment")
    search_fields = ("comment",)
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Rating]:
        """Latest first."""
        rows: QuerySet[Rating] = super().get_queryset(request)
        return rows.order_by("-rated_at")

    @display(description="rating", label={"up": "success", "down": "danger"})
    def thumb(self, rating: Rating) -> str:
        """In a word."""
        return "up" if rating.up else "down"


def _figure(standing: QualityStanding, window: str, name: str) -> str:
    value = standing.figures.get(window, {}).get(name)
    return "–" if value is None else _UNITS[name].format(value)


def _all_figures(standing: QualityStanding, window: str) -> SafeString:
    lines = ((name.replace("_", " "), _figure(standing, window, name)) for name in _UNITS)
    return format_html_join("", "<div>{}: {}</div>", lines)
