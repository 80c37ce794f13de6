"""What every template may ask for."""

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from billing.models import Subscription, Tier


def plan(request: HttpRequest) -> dict[str, object]:
    """`plan_title` for the header: the plan of whoever is logged in, looked up when it is shown."""
    return {"plan_title": SimpleLazyObject(lambda: _title(request))}


def _title(request: HttpRequest) -> str:
    return str(
        Tier(Subscription.objects.tier_of(request.user.pk) if request.user.pk else Tier.FREE).label
    )
