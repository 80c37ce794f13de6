"""`/billing/`: the plan, what is paid for it and when, and the way to the customer portal."""

from http import HTTPStatus
from typing import Final

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST
from django_ratelimit.core import is_ratelimited
from django_ratelimit.exceptions import Ratelimited
from redis.exceptions import RedisError

from accounts.models import User
from billing.models import Subscription
from billing.pages.redirects import see_other
from billing.pages.standing import standing_of
from billing.payments import checkout, referrals
from billing.payments.models import Referral
from billing.payments.stripe_api import web_api

_PORTALS: Final = "20/m"
_UNCOUNTED: Final = (
    "The store that counts forms does not answer, so nothing was changed. It is usually back "
    "within seconds: try again."
)


@never_cache
@login_required
def billing(request: HttpRequest) -> HttpResponse:
    """The page.  It asks Stripe nothing, so it works while Stripe is away."""
    user = request.user
    assert isinstance(user, User)
    return render(request, "billing/page.html", _context(request, user))


@require_POST
def portal(request: HttpRequest) -> HttpResponse:
    """On to the customer portal; back on the page, with the reason, where that can't be."""
    user = request.user
    if not isinstance(user, User):
        return redirect_to_login(reverse("billing"))
    try:
        if is_ratelimited(request, group="portal", key="user", rate=_PORTALS, increment=True):
            raise Ratelimited
        return see_other(checkout.portal(user, web_api()))
    except RedisError:
        page = _context(request, user) | {"trouble": _UNCOUNTED}
        return render(request, "billing/page.html", page, status=HTTPStatus.SERVICE_UNAVAILABLE)
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
