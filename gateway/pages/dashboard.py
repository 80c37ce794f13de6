"""The dashboard: how much is left, when it resets, what was done.  Works at 100 % of every quota.

The figures are those that admission decides on; if their store is away, the page says so and
shows the rest.
"""

import datetime as dt
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from accounts.models import ApiToken, User
from billing import gates, prompts
from billing.metering.usage import Usage
from gateway import runtime
from gateway.pages import chart, code_samples, conversation, history, limits, standing
from gateway.pages.landing import usage_for
from gateway.pages.visit import presented_by, render_page

_DISMISSED = "dismissed_warning"


@never_cache
@login_required
async def dashboard(request: HttpRequest) -> HttpResponse:
    """The page."""
    context = await _figures(request)
    context["conversation"] = await conversation.kept_in(request.session)
    context["held"] = await standing.held(request)
    return await render_page(request, "dashboard/page.html", context)


@never_cache
@login_required
async def live(request: HttpRequest) -> HttpResponse:
    """The part of the page that its script asks for again every few seconds."""
    return await render_page(request, "dashboard/live.html", await _figures(request))


@login_required
@require_POST
async def dismiss(request: HttpRequest) -> HttpResponse:
    """Hides a banner until its window resets, or the conversation that was carried over."""
    if key := request.POST.get("warning"):
        await _dismiss_banner(request, key)
    if "conversation" in request.POST:
        await conversation.forget(request.session)
    return redirect("dashboard")


async def _figures(request: HttpRequest) -> dict[str, Any]:
    user = await request.auser()
    assert isinstance(user, User)
    usage = await usage_for(await presented_by(request))
    context = await sync_to_async(of_the_past)(user)
    context["curl"] = code_samples.chat_call(request, conversation.MODEL, "Hello")
    if usage is None:
        return context | {"usage": None}
    return context | await _of_usage(request, user, usage, context["average"])


async def _of_usage(
    request: HttpRequest, user: User, usage: Usage, average: int | None
) -> dict[str, Any]:
    lead, others = limits.gauges(usage)
    warning = limits.warning(usage, average)
    may_upgrade = gates.may_upgrade(usage.limits.tier)
    if warning and not warning.used_up:
        dismissed = await request.session.aget(_DISMISSED)
        warning = None if dismissed == warning.key else warning
    if warning and may_upgrade:
        runtime.current().upgrades.saw_banner(user.pk, warning.gauge.state)
    return {
        "usage": usage,
        "lead": lead,
        "others": others,
        "warning": warning,
        "may_upgrade": may_upgrade,
    }


async def _dismiss_banner(request: HttpRequest, key: str) -> None:
    """Hides it and notes that, if it is the one that there is now."""
    usage = await usage_for(await presented_by(request))
    warning = limits.warning(usage, None) if usage else None
    if usage is None or warning is None or warning.used_up or warning.key != key:
        return
    await request.session.aset(_DISMISSED, key)
    if gates.may_upgrade(usage.limits.tier):
        user = await request.auser()
        assert isinstance(user, User)
        await sync_to_async(prompts.dismissed)(user.pk, warning.gauge.state)


def of_the_past(user: User) -> dict[str, Any]:
    """What the page shows beside the limits, all of it that is read from the database."""
    today = dt.datetime.now(dt.UTC).date()
    past = history.days(user.pk, today)
    return {
        "chart": chart.draw(past),
        "lines": history.latest(user.pk),
        "average": history.average_tokens(past),
        "has_token": ApiToken.objects.filter(user=user).exists(),
        "has_called": history.has_called(user.pk),
    }
