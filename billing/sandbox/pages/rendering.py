"""From a template to an answer: money and dates as people read them, and what a page may do."""

import datetime as dt
from collections.abc import Awaitable, Callable
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from billing.sandbox import cards
from billing.sandbox.errors import ApiError
from billing.sandbox.sandbox import Sandbox

STYLE: Final = "/page.css"
Form = dict[str, str]
Act = Callable[[web.Request, Form], web.Response]
_HERE: Final = Path(__file__).parent
_LARGEST_FORM: Final = 8192  # bytes


def served(sandbox: Sandbox, act: Act) -> Callable[[web.Request], Awaitable[web.Response]]:
    """A handler for `act`, which gets the form that was sent, in a transaction.

    Whatever is refused there leaves nothing written and is answered as a page that isn't there.
    """

    async def handle(request: web.Request) -> web.Response:
        form = await _typed(request)
        try:
            with sandbox.store.transaction():
                return act(request, form)
        except (ApiError, UnicodeError):
            return gone()

    return handle


def page(template: str, *, status: int = 200, leads_to: str = "", **values: Any) -> web.Response:
    """A page.  `leads_to`: the address outside that its forms may end at after a redirect."""
    text = _templates().get_template(template).render(values, test_cards=cards.TO_TRY)
    return web.Response(
        text=text,
        status=status,
        content_type="text/html",
        headers={
            # Browsers hold the redirect after a form against `form-action`, too.
            "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src data:; "
            "base-uri 'none'; frame-ancestors 'none'; "
            f"form-action 'self' {_origin(leads_to)}".rstrip(),
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        },
    )


def gone(
    text: str = "This page does not exist.", *, back: str = "", status: int = 404
) -> web.Response:
    """A page that only says why there is nothing to do on it."""
    return page("closed.html", status=status, text=text, back=back)


def see_other(address: str) -> web.Response:
    """After a form, so that reloading the page sends nothing again."""
    return web.Response(status=303, headers={"Location": address, "Cache-Control": "no-store"})


async def styles(_: web.Request) -> web.Response:
    """The one stylesheet."""
    return web.Response(text=(_HERE / "page.css").read_text(), content_type="text/css")


async def _typed(request: web.Request) -> Form:
    """What a form sent; what isn't readable is as if it were left empty."""
    body = await request.content.read(_LARGEST_FORM)
    fields = parse_qsl(body.decode(errors="replace"), keep_blank_values=True)
    return {name: value.strip() for name, value in fields}


def _money(cents: int) -> str:
    """$1,234.50, with a minus sign before the dollars."""
    return f"{'−' if cents < 0 else ''}${abs(cents) / 100:,.2f}"


def _day(moment: int) -> str:
    """1 December 2026, in UTC."""
    found = dt.datetime.fromtimestamp(moment, dt.UTC)
    return f"{found.day} {found:%B %Y}"


def _often(recurring: dict[str, Any]) -> str:
    """How often a price is paid: a month, a year, every 3 months."""
    count, interval = recurring["interval_count"], recurring["interval"]
    return f"every {count} {interval}s" if count > 1 else f"a {interval}"


def _origin(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}" if parts.scheme else ""


@cache
def _templates() -> Environment:
    templates = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {"money": _money, "day": _day, "often": _often}
    return templates
