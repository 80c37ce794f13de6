"""Staff's pages for the catalogue: public models, deployments, and their probes."""

from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.contrib import admin
from django.db import models
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import display

from accounts.admin import ViewOnly
from gateway.catalogue.seed import SEEDED_DEPLOYMENTS, SEEDED_MODELS
from gateway.health import admin as health_admin
from gateway.models import Deployment, Placement, ProbeResult, PublicModel
from gateway.providers.reachability import Reachability
from gateway.providers.ways import way_of
from gateway.safety import admin as safety_admin
from gateway.safety import case_admin

__all__ = ["case_admin", "health_admin", "safety_admin"]

_USABLE = "usable"


def why_not(deployment: Deployment) -> str:
    """Why a deployment can't be called, by the name of what is missing; empty if it can."""
    if not deployment.enabled:
        return "switched off"
    missing = deployment.missing_variables(settings.PROVIDER_VARIABLES)
    return f"not set: {', '.join(missing)}" if missing else ""


def with_latest_probe(deployments: QuerySet[Deployment]) -> QuerySet[Deployment]:
    """The deployments with `answered` (None: never probed) and `answered_ms`."""
    latest = ProbeResult.objects.filter(deployment=OuterRef("pk")).order_by("-probed_at")
    return deployments.annotate(
        answered=Subquery(latest.values("succeeded")[:1]),
        answered_ms=Subquery(latest.values("latency_ms")[:1]),
    )


class DeploymentForm(forms.ModelForm):  # type: ignore[type-arg]
    """A deployment, at an address that may be called."""

    def clean_base_url(self) -> str:
        """Refuses a private address now, with the setting that allows it, and not at each call."""
        url: str = self.cleaned_data["base_url"]
        if url and (objection := Reachability.in_force().objection(url)):
            raise forms.ValidationError(objection)
        return url


class _Placements(TabularInline):
    model = Placement
    extra = 0
    hide_title = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[Placement]:
        rows: QuerySet[Placement] = super().get_queryset(request)
        return rows.select_related("model", "deployment").order_by("priority", "pk")


class ServedBy(_Placements):
    """On a model's page: the deployments that serve it."""

    verbose_name_plural = "Served by (lowest priority first)"
    autocomplete_fields = ("deployment",)


class Serves(_Placements):
    """On a deployment's page: the models that it serves."""

    verbose_name_plural = "Serves"
    autocomplete_fields = ("model",)


@admin.register(PublicModel)
class PublicModelAdmin(ModelAdmin):
    """The names that callers use."""

    list_display = (
        "name",
        "state",
        "kind",
        "tier",
        "context_window",
        "max_output_tokens",
        "enabled",
    )
    list_filter = ("kind", "tier", "enabled")
    search_fields = ("name", "title")
    inlines = (ServedBy,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[PublicModel]:
        """With the deployments, for the list's column."""
        rows: QuerySet[PublicModel] = super().get_queryset(request)
        return rows.prefetch_related("deployments")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Not for those that the next start would create again: switch them off."""
        allowed: bool = super().has_delete_permission(request, obj)
        return allowed and (obj is None or obj.name not in SEEDED_MODELS)

    @display(description="state", label={_USABLE: "success", None: "warning"})
    def state(self, model: PublicModel) -> tuple[str | None, str]:
        """Usable, or why not."""
        if not model.enabled:
            return None, "switched off"
        reasons = [why_not(deployment) for deployment in model.deployments.all()]
        if "" in reasons:
            return _USABLE, _USABLE
        if len(reasons) == 1:
            return None, reasons[0]
        return None, f"none of {len(reasons)} deployments" if reasons else "no deployment"


@admin.register(Deployment)
class DeploymentAdmin(ModelAdmin):
    """Providers' models, and whether they can be called.  Keys are named here and never shown."""

    form = DeploymentForm
    list_display = (
        *("name", "state", "answers", "place", "provider", "way", "upstream", "enabled"),
    )
    readonly_fields = ("way",)
    list_filter = ("provider", "enabled")
    search_fields = ("name", "provider", "upstream_model")
    inlines = (Serves,)
    formfield_overrides: ClassVar = {models.URLField: {"assume_scheme": "https"}}
    fieldsets = (
        (None, {"fields": ("name", "enabled", "quality_routing")}),
        (
            "The provider's model",
            {"fields": (("provider", "way"), ("upstream_model", "upstream_model_variable"))},
        ),
        (
            "Where and with which key",
            {
                "fields": (
                    ("base_url", "base_url_variable"),
                    ("api_key_variable", "api_key_optional"),
                )
            },
        ),
        (
            "What the model takes",
            {
                "fields": (
                    ("takes_tools", "takes_json_schemas"),
                    ("takes_images", "takes_audio"),
                    ("context_window",),
                ),
                "description": "Requests that need something else go to other deployments.",
            },
        ),
        (
            "What the provider allows",
            {
                "fields": (
                    ("requests_per_minute", "tokens_per_minute"),
                    ("requests_per_day", "tokens_per_day"),
                    ("requests_at_once",),
                ),
                "description": "Counted over all processes. Beyond it, the next deployment is "
                "asked before this provider has to refuse; where none is left, requests wait for "
                "their turn, Pro first.",
            },
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Deployment]:
        """With the outcome of the latest probe, its place, and open circuits."""
        rows = with_latest_probe(super().get_queryset(request))
        return rows.select_related("standing").annotate(circuits=health_admin.open_circuits())

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Not for those that the next start would create again: switch them off."""
        allowed: bool = super().has_delete_permission(request, obj)
        return allowed and (obj is None or obj.name not in SEEDED_DEPLOYMENTS)

    @display(description="state", label={_USABLE: "success", None: "warning"})
    def state(self, deployment: Deployment) -> tuple[str | None, str]:
        """Usable, or which variable is missing."""
        reason = why_not(deployment)
        return (None, reason) if reason else (_USABLE, _USABLE)

    @display(description="latest probe", label={"failed": "danger", None: "success"})
    def answers(self, deployment: Any) -> str | tuple[None, str]:
        """Whether the latest probe was answered, and how fast."""
        if deployment.answered is None:
            return "–"
        return (None, f"{deployment.answered_ms:,} ms") if deployment.answered else "failed"

    @display(description="how it is called")
    def way(self, deployment: Deployment) -> str:
        """Over which wire, and who translates."""
        return way_of(deployment.provider).value if deployment.provider else "–"

    @display(description="place", label={"circuit": "danger", "lost": "warning"})
    def place(self, deployment: Any) -> str | tuple[str, str]:
        """Whether it is tried later than its priority says, and why."""
        if deployment.circuits:
            count = deployment.circuits
            return "circuit", f"circuit open in {count} process{'' if count == 1 else 'es'}"
        standing = getattr(deployment, "standing", None)
        lost = deployment.quality_routing and standing is not None and standing.lowered
        return ("lost", "lost by quality") if lost else "–"

    @display(description="upstream model")
    def upstream(self, deployment: Deployment) -> str:
        """The provider's name, or the variable that holds it."""
        return deployment.upstream_model or f"${deployment.upstream_model_variable}"


@admin.register(ProbeResult)
class ProbeResultAdmin(ViewOnly):
    """Every probe and what came of it."""

    list_display = ("probed_at", "deployment", "succeeded", "latency_ms", "error")
    list_select_related = ("deployment",)
    list_filter = ("succeeded", "deployment")
    show_full_result_count = False
