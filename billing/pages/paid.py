"""`/billing/return/`: where Stripe sends a buyer back to.  It shows, and grants nothing.

It hints once, as a webhook does, so that a webhook that is late or lost keeps nobody waiting.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Final

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.models import User
from billing.models import Subscription
from billing.payments.checkout import ask_for_refresh
from billing.payments.models import Checkout, Repayment
from billing.tiers import Tier

CONFIRMING: Final = "confirming"
_LONGEST: Final = 255
_HINT_AGAIN: Final = dt.timedelta(seconds=3)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a Checkout, as far as is known."""

    state: str
    """confirming, done, ended, returned, expired or unknown."""
    checkout: Checkout | None = None


@never_cache
@login_required
@require_safe
def paid(request: HttpRequest) -> HttpResponse:
    """The page: confirming, until the worker has fetched what was paid."""
    user = request.user
    assert isinstance(user, User)
    outcome = _outcome(user, _session_id(request))
    if outcome.state == CONFIRMING:
        ask_for_refresh(user)
    return render(request, "billing/return.html", {"outcome": outcome})


@never_cache
@login_required
@require_safe
def paid_state(request: HttpRequest) -> JsonResponse:
    """What the page's script asks for while it says that it is confirming."""
    user = request.user
    assert isinstance(user, User)
    outcome = _outcome(user, _session_id(request))
    if outcome.checkout is not None and _may_be_missed(outcome.checkout):
        ask_for_refresh(user)
    return JsonResponse({"state": outcome.state})


def _may_be_missed(checkout: Checkout) -> bool:
    """Whether nobody looks at this customer: the hint came while a worker held their row."""
    customer, long_ago = checkout.customer, timezone.now() - _HINT_AGAIN
    return (
        checkout.state == Checkout.State.OPEN
        and customer.refresh_wanted_at is None
        and (customer.fetched_at is None or customer.fetched_at < long_ago)
    )


def _session_id(request: HttpRequest) -> str:
    return request.GET.get("session_id", "")[:_LONGEST].replace("\0", "")


def _outcome(user: User, session_id: str) -> Outcome:
    checkout = (
        Checkout.objects.select_related("customer")
        .filter(stripe_id=session_id, customer__user=user)
        .first()
    )
    if checkout is None:
        return Outcome("unknown")
    if checkout.state == Checkout.State.OPEN:
        return Outcome(CONFIRMING, checkout)
    if checkout.state == Checkout.State.EXPIRED:
        return Outcome("expired", checkout)
    second = Repayment.objects.filter(subscription_id=checkout.subscription_id, owes_refund=True)
    if second.exists():
        return Outcome("returned", checkout)
    pro = Subscription.objects.tier_of(user.pk) == Tier.PRO
    return Outcome("done" if pro else "ended", checkout)
