"""What every template may ask for."""

import datetime as dt

from django.db.models import Q
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from billing.models import Subscription, Tier


def plan(request: HttpRequest) -> dict[str, object]:
    """`plan_title` for the header: the plan of whoever is logged in, looked up when it is shown."""
    return {"plan_title": SimpleLazyObject(lambda: _title(request))}


def _title(request: HttpRequest) -> str:
    now = dt.datetime.now(dt.UTC)
    tier = (
        Subscription.objects.filter(user=request.user.pk)
        .filter(Q(ends_at=None) | Q(ends_at__gt=now))
        .values_list("tier", flat=True)
        .first()
    )
    return Tier(tier or Tier.FREE).label
