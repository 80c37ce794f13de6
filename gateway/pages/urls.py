"""The pages' addresses."""

from django.urls import path
from django.views.generic import TemplateView

from gateway.pages.dashboard import dashboard, dismiss, live
from gateway.pages.docs import api_reference, error_codes, quickstart
from gateway.pages.landing import landing
from gateway.pages.pricing import begin_checkout, pricing
from gateway.pages.rating import rate_answer
from gateway.pages.standing import appeal
from gateway.pages.status import IncidentFeed, status, status_json
from gateway.pages.tokens import revoke, tokens
from gateway.pages.try_it import try_it

urlpatterns = [
    path("", landing, name="landing"),
    path("try/", try_it, name="try"),
    path("try/rate/", rate_answer, name="rate"),
    path("pricing/", pricing, name="pricing"),
    path("billing/checkout/", begin_checkout, name="checkout"),
    path("dashboard/", dashboard, name="dashboard"),
    path("dashboard/live/", live, name="dashboard_live"),
    path("dashboard/dismiss/", dismiss, name="dashboard_dismiss"),
    path("dashboard/appeal/", appeal, name="dashboard_appeal"),
    path("tokens/", tokens, name="tokens"),
    path("tokens/<uuid:token_id>/revoke/", revoke, name="token_revoke"),
    path("docs/", quickstart, name="docs"),
    path("docs/api/", api_reference, name="api_reference"),
    path("docs/errors/", error_codes, name="error_codes"),
    path("status/", status, name="status"),
    path("status.json", status_json, name="status_json"),
    path("status/feed", IncidentFeed(), name="status_feed"),
    path(
        "robots.txt",
        TemplateView.as_view(template_name="robots.txt", content_type="text/plain"),
        name="robots",
    ),
]
