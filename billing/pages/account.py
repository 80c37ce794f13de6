"""`/billing/`: the plan, what is paid for it and when, and the way to the customer portal."""

from http import HTTPStatus

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST
from django_ratelimit.decorators import ratelimit

from accounts.models import User
from billing.models import Subscription
from billing.pages.redirects import see_other
from billing.pages.standing import standing_of
from billing.payments import checkout, referrals
from billing.payments.models import Referral
from billing.payments.stripe_api import web_api


@never_cache
@login_required
def billing(request: HttpRequest) -> HttpResponse:
    """The page.  It asks Stripe nothing, so it works while Stripe is away."""
    user = request.user
    assert isinstance(user, User)
    return render(request, "billing/page.html", _context(request, user))


@login_required
@require_POST
@ratelimit(group="portal", key="user", rate="20/m", block=True)  # type: ignore[untyped-decorator]
def portal(request: HttpRequest) -> HttpResponse:
    """On to the customer portal; back on the page, with the reason, where that can't be."""
    user = request.user
    assert isinstance(user, User)
    try:
        return see_other(checkout.portal(user, web_api()))
    except checkout.StripeBusy as error:
        page = _context(request, user) | {"trouble": str(error)}
        return render(request, "billing/page.html", page, status=HTTPStatus.SERVICE_UNAVAILABLE)
    except checkout.CheckoutRefused as error:
        messages.error(request, str(error))
        return redirect("billing")


def _context(request: HttpRequest, user: User) -> dict[str, object]:
    brought = Referral.objects.filter(referrer=user)
    return {
        "standing": standing_of(user),
        "granted": Subscription.objects.in_force()
        .filter(user=user, source=Subscription.Source.STAFF, tier="pro")
        .first(),
        "referral_url": request.build_absolute_uri(f"/r/{referrals.code_of(user)}/"),
        "referral_credit": referrals.CREDIT_CENTS,
        "brought": brought.exclude(state=Referral.State.VOID).count(),
        "rewarded": brought.filter(state=Referral.State.REWARDED).count(),
    }
