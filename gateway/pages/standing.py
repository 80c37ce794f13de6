"""On the dashboard: that an account is slowed down or blocked, why, until when, and what to say."""

from dataclasses import dataclass
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from accounts.models import User
from billing.models import Subscription
from gateway import runtime
from gateway.pages.visit import presented_by
from gateway.safety import cases
from gateway.safety.effects import Effect
from gateway.safety.models import AbuseCase


@dataclass(frozen=True, slots=True)
class Held:
    """An effect, and whether the user has said something about it."""

    effect: Effect
    appealed_at: Any


async def held(request: HttpRequest) -> list[Held]:
    """What holds for whoever is logged in, at the address that they are at."""
    effects = await _effects(request)
    return await sync_to_async(_with_appeals)(effects) if effects else []


@login_required
@require_POST
async def appeal(request: HttpRequest) -> HttpResponse:
    """Takes what the user has to say about a case that holds for them."""
    text = request.POST.get("appeal", "").strip()
    theirs = {str(effect.case_id) for effect in await _effects(request)}
    case_id = request.POST.get("case", "")
    if text and case_id in theirs:
        await sync_to_async(cases.appeal)(int(case_id), text)
    return redirect("dashboard")


async def _effects(request: HttpRequest) -> tuple[Effect, ...]:
    user = await request.auser()
    assert isinstance(user, User)
    guard, address = runtime.current().guard, (await presented_by(request)).address
    if not guard.effects_of(user.pk, "", address):  # nearly always, and without a query
        return ()
    tier = await sync_to_async(Subscription.objects.tier_of)(user.pk)
    return guard.effects_of(user.pk, tier, address)


def _with_appeals(effects: tuple[Effect, ...]) -> list[Held]:
    appealed = dict(
        AbuseCase.objects.filter(pk__in=[effect.case_id for effect in effects]).values_list(
            "pk", "appealed_at"
        )
    )
    return [Held(effect, appealed.get(effect.case_id)) for effect in effects]
