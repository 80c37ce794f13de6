"""A form's answer that leads to another page, ours or Stripe's."""

from http import HTTPStatus

from django.http import HttpResponse


def see_other(url: str) -> HttpResponse:
    """303: the next page is fetched with GET, and Back doesn't send the form again."""
    return HttpResponse(status=HTTPStatus.SEE_OTHER, headers={"Location": url})
