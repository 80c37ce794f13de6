"""allauth's views, with a limit on how often an address may send each form.

The limits are django-ratelimit's, counted in the cache; allauth's own still guard each account
against guessed passwords.  While the cache is away nothing can be counted, so nothing is accepted.
"""

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any, Final

from allauth.account import views as allauth
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string
from django_ratelimit.decorators import ratelimit
from redis.exceptions import RedisError

View = Callable[..., HttpResponseBase]

_SIGN_UPS: Final = "20/h"
_LOG_INS: Final = "30/m"
_RESETS: Final = "10/h"


def _limited(group: str, rate: str, view: View) -> View:
    """The view, whose POSTs from one IP address are limited; past it, a 429 page says so."""
    counted = ratelimit(group=group, key="ip", rate=rate, method="POST", block=True)(view)

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            response: HttpResponseBase = counted(request, *args, **kwargs)
        except RedisError:
            return HttpResponse(_uncounted(), status=HTTPStatus.SERVICE_UNAVAILABLE)
        return response

    return guarded


def _uncounted() -> str:
    words = {
        "status": int(HTTPStatus.SERVICE_UNAVAILABLE),
        "title": "Forms can’t be taken just now",
        "text": "The store that counts them does not answer, so nothing was changed. It is usually "
        "back within seconds: go back and try again.",
    }
    return render_to_string("failures/page.html", words)


sign_up = _limited("sign-up", _SIGN_UPS, allauth.signup)
log_in = _limited("log-in", _LOG_INS, allauth.login)
reset_password = _limited("reset", _RESETS, allauth.password_reset)
new_password = _limited("new-password", _LOG_INS, allauth.password_reset_from_key)
change_password = _limited("change-password", _LOG_INS, allauth.password_change)
reauthenticate = _limited("reauthenticate", _LOG_INS, allauth.reauthenticate)
email = _limited("email", _LOG_INS, allauth.email)
