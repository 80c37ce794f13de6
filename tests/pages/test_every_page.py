"""What holds on every page: the policy, the frame, the files, the words of failures."""

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.staticfiles import finders
from django.http import HttpRequest
from django.test import AsyncClient, Client
from django.urls import clear_url_caches, path

from gateway.pages import failures
from tests.conftest import Person
from tests.pages.reading import Elements, source, words

FOR_ALL = ["/", "/pricing/", "/docs/", "/docs/errors/", "/status/", "/no-such-page/"]
FOR_STRANGERS = ["/signup/", "/login/", "/password/reset/", "/password/reset/done/",
                 "/confirm-email/", "/confirm-email/expired/", "/inactive/"]  # fmt: skip
FOR_USERS = ["/dashboard/", "/tokens/", "/billing/", "/billing/return/", "/account/password/",
             "/account/email/", "/logout/"]  # fmt: skip
TEMPLATES = Path(settings.BASE_DIR, "templates")


def check(page: object) -> None:
    """The rules of every page."""
    markup, elements = source(page), Elements(source(page))
    assert page["content-security-policy"].count("'self'") >= 5
    assert "unsafe" not in page["content-security-policy"]
    assert elements.all("style") == []
    assert all("src" in script for script in elements.all("script"))
    assert all("style" not in attributes for _, attributes in elements.found)
    assert all(not name.startswith("on") for _, given in elements.found for name in given)
    assert elements.all("html") == [{"lang": "en"}]
    assert len(elements.all("h1")) == 1
    assert re.search(r"<title>[^<]{5,}</title>", markup)
    assert elements.all("a")[0]["href"] == "#content"
    assert "{{" not in markup
    assert "{%" not in markup
    assert " None " not in words(page)


@pytest.mark.parametrize("address", FOR_ALL + FOR_STRANGERS)
async def test_a_stranger_gets_a_page_that_keeps_the_rules(
    somebody: AsyncClient, address: str
) -> None:
    check(await somebody.get(address))


@pytest.mark.parametrize("address", FOR_ALL + FOR_USERS)
async def test_a_user_gets_a_page_that_keeps_the_rules(as_bob: AsyncClient, address: str) -> None:
    check(await as_bob.get(address))


async def test_the_active_page_is_marked_in_the_navigation(as_bob: AsyncClient) -> None:
    for address in ("/dashboard/", "/tokens/", "/docs/"):
        links = Elements(source(await as_bob.get(address))).all("a")
        marked = [link["href"] for link in links if link.get("aria-current") == "page"]
        assert marked == [address]


def test_every_static_file_that_a_template_names_exists() -> None:
    named = {
        name
        for template in TEMPLATES.rglob("*.html")
        for name in re.findall(r"{% static '([^']+)' %}", template.read_text())
    }

    assert "scalix/tokens.css" in named
    assert [name for name in sorted(named) if finders.find(name) is None] == []


def test_the_font_is_in_the_pinned_wheel() -> None:
    styles = finders.find("unfold/fonts/inter/styles.css")
    assert styles is not None
    for name in re.findall(r"url\(([^)]+)\)", Path(styles).read_text()):
        assert finders.find(f"unfold/fonts/inter/{name}") is not None


def test_every_module_that_a_script_imports_exists() -> None:
    folder = Path(settings.BASE_DIR, "static", "scalix")
    for script in folder.glob("*.js"):
        for name in re.findall(r'from "\./([^"]+)"', script.read_text()):
            assert (folder / name).is_file(), f"{script.name} imports {name}"


async def test_nothing_is_fetched_from_elsewhere(somebody: AsyncClient) -> None:
    elements = Elements(source(await somebody.get("/")))

    loaded = [link["href"] for link in elements.all("link")]
    loaded += [script["src"] for script in elements.all("script")]
    assert all(address and address.startswith("/static/") for address in loaded)


async def test_robots_are_kept_to_what_is_public(somebody: AsyncClient) -> None:
    page = await somebody.get("/robots.txt")

    assert page["content-type"].startswith("text/plain")
    assert "Disallow: /dashboard/" in source(page)


def test_a_missing_page_says_what_to_do_next(client: Client, db: None) -> None:
    page = client.get("/no-such-page/")

    assert page.status_code == 404
    assert "There is no page here" in words(page)
    assert "To the start page" in words(page)


def break_down(request: HttpRequest) -> None:
    """A view with a mistake."""
    raise ZeroDivisionError("secret detail")


def test_a_broken_page_tells_no_secrets(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    import scalix.urls

    with monkeypatch.context() as patch:
        patch.setattr(
            scalix.urls, "urlpatterns", [*scalix.urls.urlpatterns, path("b/", break_down)]
        )
        clear_url_caches()
        client.raise_request_exception = False
        page = client.get("/b/")
    clear_url_caches()

    assert page.status_code == 500
    assert "Something broke on our side" in words(page)
    assert "secret detail" not in source(page)


def test_with_the_database_away_a_page_that_needs_it_says_so(
    client: Client, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.db import OperationalError

    def away(*_: object) -> None:
        raise OperationalError("connection refused")

    client.force_login(bob.user)
    client.raise_request_exception = False
    monkeypatch.setattr("gateway.pages.history.requests_today", away)

    page = client.get("/tokens/")

    assert page.status_code == 503
    assert page["retry-after"] == "5"
    assert "Scalix can’t reach its own records" in words(page)


def test_every_failure_page_has_its_words() -> None:
    for status in failures._WORDS:
        assert str(int(status)) in words(failures.failure_page(status))
