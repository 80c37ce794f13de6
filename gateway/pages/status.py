"""`/status`: what works and has worked, as a page, as JSON and as a feed, from memory alone."""

import datetime as dt
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.syndication.views import Feed
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.feedgenerator import Atom1Feed
from django.views.decorators.cache import never_cache

from gateway import runtime
from gateway.health.board import DAYS, INCIDENT_DAYS, Board, Day, Part
from gateway.health.incidents import Incident
from gateway.pages.visit import render_page

_TEMPLATE = "status/page.html"
_WIDTH, _HEIGHT = 720, 34  # of the chart that a part's days are drawn in
_HEIGHTS = {"up": 34, "poor": 22, "down": 11, "none": 3}


@never_cache
async def status(request: HttpRequest) -> HttpResponse:
    """The page.  Without the database it is that of a stranger: nobody can be looked up."""
    shown = runtime.current().status
    board = shown.board
    context = {
        "board": board,
        "parts": [_drawn(one) for one in (board.gateway, *board.providers)] if board else [],
        "away": shown.database_away,
        "age": _age(board),
        "troubled": [one.name for one in board.providers if one.state != "up"] if board else [],
        "days": DAYS,
        "incident_days": INCIDENT_DAYS,
    }
    if not shown.database_away:
        try:
            return await render_page(request, _TEMPLATE, context)
        except DatabaseError:  # it went away since it was last asked
            context["away"] = True
    return HttpResponse(await sync_to_async(render_to_string)(_TEMPLATE, context))


@never_cache
async def status_json(request: HttpRequest) -> JsonResponse:  # noqa: ARG001
    """The same for programs: 200 whatever the state is, 503 before anything is known."""
    shown = runtime.current().status
    board = shown.board
    if board is None:
        return JsonResponse({"error": "Nothing is known yet."}, status=503)
    gateway = _part(board.gateway)
    if shown.database_away:
        gateway |= {"state": "down", "text": "The database can't be reached"}
    body = {
        "updated_at": _moment(board.at),
        "age_seconds": _age(board),
        "database_away": shown.database_away,
        "gateway": gateway,
        "providers": [_part(one) for one in board.providers],
        "incidents": [
            {
                "id": one.name,
                "provider": one.deployment,
                "began_at": _moment(one.began),
                "ended_at": one.ended and _moment(one.ended),
                "text": one.text,
            }
            for one in board.incidents
        ],
    }
    return JsonResponse(body, headers={"access-control-allow-origin": "*"})


class IncidentFeed(Feed):  # type: ignore[type-arg]
    """Incidents as an Atom feed."""

    feed_type = Atom1Feed
    title = "Scalix status"
    subtitle = "What went wrong with the providers behind Scalix, and when it was over."

    def link(self) -> str:
        """The page."""
        return reverse("status")

    def items(self) -> list[Incident]:
        """The latest first."""
        board = runtime.current().status.board
        return list(board.incidents) if board else []

    def item_title(self, item: Incident) -> str:
        """Which provider, and whether it is over."""
        return f"{item.deployment}: {f'over after {item.lasted}' if item.ended else 'not well'}"

    def item_description(self, item: Incident) -> str:
        """What was wrong."""
        return item.text

    def item_link(self, item: Incident) -> str:
        """Its place on the page."""
        return f"{reverse('status')}#{item.name}"

    def item_guid(self, item: Incident) -> str:
        """The same for as long as it is in the feed, whatever host it is read from."""
        return f"{settings.PUBLIC_URL}{self.item_link(item)}"

    def item_pubdate(self, item: Incident) -> dt.datetime:
        """When it began."""
        return item.began

    def item_updateddate(self, item: Incident) -> dt.datetime:
        """When it was over, if it is."""
        return item.ended or item.began


def _drawn(part: Part) -> dict[str, Any]:
    """A part as the template shows it, with the places of its days' bars."""
    step = _WIDTH / DAYS
    bars = [_bar(day, round(place * step, 1)) for place, day in enumerate(part.days)]
    return {
        "name": part.name,
        "state": part.state,
        "text": part.text,
        "days": bars,
        "uptime_text": part.uptime_text,
        "answers": part.answers,
        "answers_text": f"{part.answers:,} answer{'' if part.answers == 1 else 's'}",
        "days_with_failures": part.days_with_failures,
    }


def _bar(day: Day, x: float) -> dict[str, Any]:
    height = _HEIGHTS[day.state]
    y = _HEIGHT - height
    return {"x": str(x), "y": y, "height": height, "state": day.state, "text": day.text}


def _part(part: Part) -> dict[str, Any]:
    return {
        "name": part.name,
        "state": part.state,
        "text": part.text,
        "uptime_90_days": part.uptime,
        "days": [
            {"day": day.day.isoformat(), "uptime": day.uptime, "answers": day.good + day.bad}
            for day in part.days
            if day.uptime is not None
        ],
    }


def _age(board: Board | None) -> int:
    if board is None:
        return 0
    return max(0, int((dt.datetime.now(dt.UTC) - board.at).total_seconds()))


def _moment(moment: dt.datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
