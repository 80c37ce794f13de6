"""What every page may ask for about payments."""

from django.conf import settings
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from accounts.models import User
from billing.pages.standing import Standing, standing_of


def payments(request: HttpRequest) -> dict[str, object]:
    """`past_due` for the banner: the standing of whoever owes a renewal, else None.

    It is looked up when a template asks, and templates ask for those who are logged in only.
    """
    return {
        "past_due": SimpleLazyObject(lambda: _past_due(request)),
        "sandbox_payments": settings.STRIPE_MODE == "sandbox" and settings.PAYMENTS,
    }


def _past_due(request: HttpRequest) -> Standing | None:
    if not isinstance(request.user, User):
        return None
    standing = standing_of(request.user)
    return standing if standing.past_due and standing.access_ends_at else None
