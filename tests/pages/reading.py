"""Reading a page as a person does."""

import html
import re
from html.parser import HTMLParser
from typing import Any

from django.http import HttpResponseBase

_SILENT = re.compile(r"<(script|style|template|head)\b.*?</\1>", re.DOTALL)
_TAG = re.compile(r"<[^>]*>")


def source(response: HttpResponseBase | Any) -> str:
    """The page's HTML."""
    return response.content.decode()


def words(response: HttpResponseBase | Any) -> str:
    """What the page says: its text without markup, single-spaced."""
    return words_in(source(response))


def words_in(markup: str) -> str:
    """The same, of a piece of HTML."""
    plain = _TAG.sub(" ", _SILENT.sub(" ", markup))
    spaced = " ".join(html.unescape(plain).split())
    return re.sub(r" ([.,:;])", r"\1", spaced)


class Elements(HTMLParser):
    """Every start tag of a page, with its attributes."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(markup)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of each element of that name."""
        return [attributes for name, attributes in self.found if name == tag]
