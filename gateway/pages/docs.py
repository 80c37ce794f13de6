"""Documentation: the quickstart, the API's reference and that of error codes."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from billing.models import Tier
from gateway import runtime
from gateway.pages import code_samples, conversation
from gateway.pages.error_reference import GROUPS
from gateway.pages.visit import render_page


async def quickstart(request: HttpRequest) -> HttpResponse:
    """From nothing to an answer in curl, Python and JavaScript; limits and their resets."""
    gateway = runtime.current()
    context = {
        "base_url": code_samples.base_url(request),
        "model": conversation.MODEL,
        "exports": code_samples.exports(request),
        "anthropic_exports": code_samples.anthropic_exports(request),
        "curl": code_samples.chat_call(request, conversation.MODEL, "Hello"),
        "free_curl": code_samples.free_call(request, conversation.MODEL, "Hello"),
        "usage_curl": code_samples.usage_call(request),
        "plans": [gateway.plans.limits_of(tier.value) for tier in Tier],
        "models": gateway.catalogue.usable(),
        "kept_bytes": settings.GATEWAY_KEPT_ANSWER_BYTES,
    }
    return await render_page(request, "docs/quickstart.html", context)


async def api_reference(request: HttpRequest) -> HttpResponse:
    """Every operation out of `/openapi.json`, to be tried with one's own token."""
    return await render_page(request, "docs/api.html", {})


async def error_codes(request: HttpRequest) -> HttpResponse:
    """One anchor for each code, which errors point to."""
    return await render_page(request, "docs/errors.html", {"groups": GROUPS})
