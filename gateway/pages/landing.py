"""The landing page."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache

from billing.metering.usage import Usage
from billing.models import Tier
from gateway import pipeline, runtime
from gateway.errors import GatewayError
from gateway.pages import code_samples, conversation, limits, notices, plans
from gateway.pages.visit import presented_by, render_page
from gateway.types import Presented


@never_cache
async def landing(request: HttpRequest) -> HttpResponse:
    """The page, with this session's last conversation if there was one."""
    presented = await presented_by(request)
    context = {"conversation": await conversation.kept_in(request.session)}
    return await render_landing(request, presented, context)


async def render_landing(
    request: HttpRequest, presented: Presented, context: dict[str, Any], status: int = 200
) -> HttpResponse:
    """The page around a try-it box; `context` may hold its prompt, conversation and notice."""
    gateway = runtime.current()
    talk: conversation.Conversation | None = context.get("conversation")
    prompt = context.get("prompt") or (talk.prompt if talk else conversation.SAMPLE_PROMPT)
    usage = await usage_for(presented)
    tries = limits.tries(usage) if usage else None
    free = gateway.plans.limits_of(Tier.FREE.value)
    if usage and tries and not tries.left:
        notice = notices.limit_notice(usage, tries.state, plans.allowance(free))
        context = {"notice": notice} | context
    page = {
        "prompt": prompt,
        "model": conversation.MODEL,
        "tries": tries,
        "counted": usage is not None,
        "plans": plans.cards(gateway),
        "free": free,
        "switch": f"{code_samples.exports(request)}\npython your_app.py",
        "curl": code_samples.free_call(request, conversation.MODEL, prompt),
    }
    return await render_page(request, "landing/page.html", page | context, status=status)


async def usage_for(presented: Presented) -> Usage | None:
    """The caller's usage; that of nobody yet without a credential; None if it can't be known."""
    gateway = runtime.current()
    if presented.session_user_id is None and presented.visitor is None:
        return limits.nothing_used(gateway.plans.limits_of(Tier.VISITOR.value))
    try:
        _, usage = await pipeline.usage_of(gateway, presented)
    except GatewayError:
        return None
    return usage
