"""`/r/CODE/`: a recommendation is remembered until its reader signs up."""

import datetime as dt
from typing import Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

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


def code_in(request: HttpRequest) -> str:
    """The code that this browser came with; empty: none, or one that we did not sign."""
    return str(
        request.get_signed_cookie(
            COOKIE, default="", salt=_SALT, max_age=int(_REMEMBERED.total_seconds())
        )
    )
