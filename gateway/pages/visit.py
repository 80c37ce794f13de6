"""Who looks at a page, and how a page is rendered for them."""

from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render

from accounts import visitors
from accounts.addresses import address_of
from billing.prompts import Channel
from gateway.types import Caller, Presented, session_digest


async def presented_by(request: HttpRequest) -> Presented:
    """What the request's session, or else its visitor cookie, says of who asks."""
    user = await request.auser()
    logged_in = user.is_authenticated
    return Presented(
        session_user_id=user.pk if logged_in else None,
        visitor=None if logged_in else request.COOKIES.get(visitors.COOKIE),
        may_become_visitor=not logged_in,
        ip=address_of(request),
        session=session_digest(request.session.session_key or "") if logged_in else "",
        user_agent=request.headers.get("user-agent", ""),
        channel=Channel.PAGE,
    )


async def render_page(
    request: HttpRequest, template: str, context: dict[str, Any], status: int = 200
) -> HttpResponse:
    """The page, rendered in a thread: templates may ask the database who is logged in."""
    return await sync_to_async(render)(request, template, context, status=status)


def hand_back(response: HttpResponseBase, caller: Caller) -> None:
    """Gives a visitor their credential, in a cookie that no script can read."""
    if caller.visitor is not None:
        response.set_cookie(
            visitors.COOKIE,
            caller.visitor,
            max_age=visitors.COOKIE_SECONDS,
            httponly=True,
            samesite="Lax",
            secure=bool(settings.SESSION_COOKIE_SECURE),
        )
