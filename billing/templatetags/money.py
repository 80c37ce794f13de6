"""`{% load money %}`: amounts, plans' prices and moments as people read them."""

import datetime as dt

from django import template
from django.utils.dateparse import parse_datetime

from billing.payments.catalogue import PRICES

register = template.Library()


@register.filter
def money(cents: int) -> str:
    """US cents as dollars: `$29.99`, `$1,234.50`, `−$15.00`."""
    sign = "−" if cents < 0 else ""
    whole, rest = divmod(abs(cents), 100)
    return f"{sign}${whole:,}.{rest:02d}"


@register.filter
def plan_price(price_key: str) -> str:
    """The price of that key: `$29.99 a month`.  KeyError for one that is none of ours."""
    price = PRICES[price_key]
    return f"{money(price.cents)} {price.per}"


@register.filter
def utc(moment: dt.datetime | str) -> str:
    """An aware moment, or its ISO 8601 text: `24 November 2026, 14:05 UTC`.  Else ValueError."""
    at = parse_datetime(moment) if isinstance(moment, str) else moment
    if at is None or at.tzinfo is None:
        raise ValueError(f"{moment!r} is no moment with a time zone")
    at = at.astimezone(dt.UTC)
    return f"{at.day} {at:%B %Y, %H:%M} UTC"
