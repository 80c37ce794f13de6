"""The pages for when things fail: they say what happened and what to do, and ask no store."""

import sys
from http import HTTPStatus
from typing import Final

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django_ratelimit.exceptions import Ratelimited

_NO_COOKIE: Final = (
    "The form could not be accepted",
    "It was open for long, or your browser keeps no cookies here. Go back, reload, send it again.",
)
_WORDS: Final = {
    HTTPStatus.BAD_REQUEST: (
        "This request can’t be read",
        "Something in it is malformed, or larger than a page takes. Go back and try again.",
    ),
    HTTPStatus.FORBIDDEN: (
        "This page is not yours to see",
        "You may be logged in to another account than the one that it belongs to.",
    ),
    HTTPStatus.NOT_FOUND: (
        "There is no page here",
        "The address may be mistyped, or the page has moved.",
    ),
    HTTPStatus.TOO_MANY_REQUESTS: (
        "That was too often",
        "This form was sent too many times from your network. Wait a minute, then try again.",
    ),
    HTTPStatus.INTERNAL_SERVER_ERROR: (
        "Something broke on our side",
        "It is not your doing, and it has been noted. Try again in a moment.",
    ),
    HTTPStatus.SERVICE_UNAVAILABLE: (
        "Scalix can’t reach its own records",
        "It is usually back within seconds: reload the page. Nothing was charged.",
    ),
}


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001
    """400."""
    return failure_page(HTTPStatus.BAD_REQUEST)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """403; or 429 where a form was sent too often."""
    if isinstance(exception, Ratelimited):
        return too_many_requests(request)
    return failure_page(HTTPStatus.FORBIDDEN)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:  # noqa: ARG001
    """403: a form without its CSRF cookie."""
    return failure_page(HTTPStatus.FORBIDDEN, _NO_COOKIE)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001
    """404."""
    return failure_page(HTTPStatus.NOT_FOUND)


def too_many_requests(request: HttpRequest) -> HttpResponse:  # noqa: ARG001
    """429 of the browser's forms; the API has its own."""
    response = failure_page(HTTPStatus.TOO_MANY_REQUESTS)
    response["Retry-After"] = "60"
    return response


def server_error(request: HttpRequest) -> HttpResponse:  # noqa: ARG001
    """503 while the database is away, 500 for anything else."""
    if isinstance(sys.exc_info()[1], OperationalError | InterfaceError):
        response = failure_page(HTTPStatus.SERVICE_UNAVAILABLE)
        response["Retry-After"] = "5"
        return response
    return failure_page(HTTPStatus.INTERNAL_SERVER_ERROR)


def failure_page(status: HTTPStatus, words: tuple[str, str] | None = None) -> HttpResponse:
    """A page of that status; `words` are its title and its text where they are not the usual."""
    title, text = words or _WORDS[status]
    context = {"status": int(status), "title": title, "text": text}
    return HttpResponse(render_to_string("failures/page.html", context), status=status)
