"""`/pricing/`: the plans side by side, what the first payment is, and the way to Checkout."""

import uuid
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe
from django_ratelimit.core import is_ratelimited
from django_ratelimit.exceptions import Ratelimited
from redis.exceptions import RedisError

from accounts import visitors
from accounts.models import User
from billing import prompts
from billing.metering.usage import Usage
from billing.models import Tier
from billing.pages.redirects import see_other
from billing.pages.standing import standing_of
from billing.payments import checkout
from billing.payments.catalogue import ANNUAL, MONTHLY, PRICES
from billing.payments.models import FunnelEvent
from billing.payments.stripe_api import web_api
from billing.plans import Limits
from gateway import runtime
from gateway.pages import plans
from gateway.pages.landing import usage_for
from gateway.pages.notices import Notice
from gateway.pages.visit import presented_by, render_page
from gateway.runtime import Gateway

_CHECKOUTS: Final = "20/m"

_UNKNOWN_PRICE: Final = Notice(
    "There is no such price.", "Nothing was charged. Choose one of the two below."
)
_TOO_OFTEN: Final = Notice(
    "That was too often.", "Nothing was charged. Wait a minute, then try again."
)
_UNCOUNTED: Final = Notice(
    "Forms can’t be taken just now.",
    "The store that counts them does not answer, so nothing was changed. It is usually back "
    "within seconds: try again.",
)


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table: what is compared, and how much of it visitor, free and pro have."""

    title: str
    cells: tuple[str, ...]


@never_cache
@require_safe
async def pricing(request: HttpRequest) -> HttpResponse:
    """The page; for whoever is logged in, with the discounts that they have now."""
    page = await _page(request)
    account_id = await _account_of(request)
    if account_id is not None and "from" in request.GET:
        await sync_to_async(prompts.clicked)(account_id, request.GET["from"])
    return page


async def _account_of(request: HttpRequest) -> uuid.UUID | None:
    presented = await presented_by(request)
    if presented.session_user_id is not None:
        return presented.session_user_id
    return visitors.visitor_id_of(presented.visitor) if presented.visitor else None


@require_POST
async def begin_checkout(request: HttpRequest) -> HttpResponse:
    """On to Stripe's page for the price that the form names; it may name nothing else."""
    user = await request.auser()
    if not isinstance(user, User):
        return redirect_to_login(reverse("pricing"))
    if request.POST.get("price", "") not in PRICES:
        return await _page(request, _UNKNOWN_PRICE, HTTPStatus.BAD_REQUEST)
    usage = await usage_for(await presented_by(request))
    try:
        return see_other(await sync_to_async(_begin)(request, user, usage))
    except checkout.CheckoutRefused as error:
        return await _refused(request, error)
    except Ratelimited:
        return await _page(request, _TOO_OFTEN, HTTPStatus.TOO_MANY_REQUESTS)
    except RedisError:
        return await _page(request, _UNCOUNTED, HTTPStatus.SERVICE_UNAVAILABLE)


def _begin(request: HttpRequest, user: User, usage: Usage | None) -> str:
    """The Checkout page's address.  Raises CheckoutRefused, Ratelimited or RedisError."""
    request.user = user
    if is_ratelimited(request, group="checkout", key="user", rate=_CHECKOUTS, increment=True):
        raise Ratelimited
    trigger = _trigger(request.POST.get("from", ""))
    return checkout.begin(user, request.POST["price"], usage, web_api(), trigger)


async def _refused(request: HttpRequest, error: checkout.CheckoutRefused) -> HttpResponse:
    """Where whoever can't begin a checkout goes on from."""
    if isinstance(error, checkout.BeingConfirmed):
        return see_other(f"{reverse('billing_return')}?session_id={error.session_id}")
    if isinstance(error, checkout.AlreadyPaying):
        await sync_to_async(messages.info)(request, str(error))
        return see_other(reverse("billing"))
    notice = Notice("The checkout could not begin.", str(error))
    return await _page(request, notice, HTTPStatus.SERVICE_UNAVAILABLE)


def _trigger(name: str) -> FunnelEvent.Trigger:
    """The prompt that led here, as an address or a form names it."""
    known = FunnelEvent.Trigger.values
    return FunnelEvent.Trigger(name) if name in known else FunnelEvent.Trigger.NONE


async def _page(
    request: HttpRequest, notice: Notice | None = None, status: int = HTTPStatus.OK
) -> HttpResponse:
    gateway = runtime.current()
    presented = await presented_by(request)
    usage = await usage_for(presented) if presented.session_user_id else None
    offered = await sync_to_async(_offered)(request, usage)
    free, pro = (gateway.plans.limits_of(tier.value) for tier in (Tier.FREE, Tier.PRO))
    context = offered | {
        "notice": notice,
        "plans": plans.cards(gateway),
        "rows": _rows(gateway),
        "free": free,
        "pro": pro,
        "saved_cents": 12 * MONTHLY.cents - ANNUAL.cents,
        "trigger": _trigger(request.GET.get("from") or request.POST.get("from", "")),
        "for_sale": settings.PAYMENTS,
    }
    return await render_page(request, "pricing/page.html", context, status=status)


def _offered(request: HttpRequest, usage: Usage | None) -> dict[str, Any]:
    user = request.user if isinstance(request.user, User) else None
    offers = checkout.offers_for(user, usage)
    standing = standing_of(user) if user else None
    return {"offers": (offers.monthly, offers.annual), "standing": standing}


def _rows(gateway: Gateway) -> list[Row]:
    """The plans' limits from the table that enforces them."""
    every = [gateway.plans.limits_of(tier.value) for tier in Tier]

    def row(title: str, name: str, without: str = "no limit") -> Row:
        return Row(title, tuple(_amount(limits, name, without) for limits in every))

    return [
        row("Requests an hour", "requests_per_hour"),
        row("Requests a day", "requests_per_day"),
        row("Tokens a day", "tokens_per_day"),
        row("Requests at once", "concurrent_requests"),
        row("Context window, tokens", "context_window", "the model’s own"),
        row("Longest prompt, characters", "prompt_characters"),
        Row("Models", plans.models(gateway)),
        Row("API tokens", ("–", "yes", "yes")),
        Row("Usage dashboard", ("–", "yes", "yes")),
    ]


def _amount(limits: Limits, name: str, without: str) -> str:
    limit: int | None = getattr(limits, name)
    return without if limit is None else f"{limit:,}"
