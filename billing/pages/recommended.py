"""`/r/CODE/`: a recommendation is remembered until its reader signs up."""

import datetime as dt
from typing import Any, Final

from allauth.account.signals import user_signed_up
from django.conf import settings
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts import visitors
from accounts.models import User
from billing.payments import referrals

COOKIE: Final = "scalix_recommended"
_REMEMBERED: Final = dt.timedelta(days=30)
_SALT: Final = "scalix.recommended"


@never_cache
@require_safe
def recommended(request: HttpRequest, code: str) -> HttpResponse:
    """On to the landing page.  A code that is nobody's leads there too, and is not remembered."""
    response = redirect("landing")
    if not request.user.is_authenticated and referrals.is_code(code):
        response.set_signed_cookie(
            COOKIE,
            code,
            salt=_SALT,
            max_age=int(_REMEMBERED.total_seconds()),
            httponly=True,
            samesite="Lax",
            secure=bool(settings.SESSION_COOKIE_SECURE),
        )
    return response


@receiver(user_signed_up)
def remember_who_recommended(request: HttpRequest, user: User, **_: Any) -> None:
    """Connects a new user with whoever sent them."""
    code = request.get_signed_cookie(
        COOKIE, default=None, salt=_SALT, max_age=int(_REMEMBERED.total_seconds())
    )
    if not code:
        return
    credential = request.COOKIES.get(visitors.COOKIE, "")
    referrals.record(code, user, visitors.visitor_id_of(credential) if credential else None)
