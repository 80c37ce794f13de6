"""A browser, people in it, and the running product that they visit.

Playwright's synchronous interface shares no process with the event loops of the other tests:
`make test` runs this folder by itself.  `pytest tests/e2e --screenshots` writes docs/screenshots.
"""

import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.gateway_server import GatewayServer

_BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome")
_QUIET: Final = (
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
_PICTURES: Final = Path(__file__).resolve().parents[2] / "docs" / "screenshots"
_PATIENCE_MS: Final = 20_000
PASSWORD: Final = "correct horse battery"
WIDE: Final = {"width": 1280, "height": 900}
NARROW: Final = {"width": 320, "height": 568}

NewPage = Callable[..., Page]
Picture = Callable[[Page, str], None]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--screenshots", action="store_true", help="write what is seen to docs/screenshots"
    )


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The browser; without one, everything here is skipped."""
    path = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if path is None:
        pytest.skip(f"no browser: none of {', '.join(_BROWSERS)} is installed")
    with sync_playwright() as playwright:
        expect.set_options(timeout=_PATIENCE_MS)
        browser = playwright.chromium.launch(executable_path=path, args=[*_QUIET])
        yield browser
        browser.close()


@pytest.fixture
def site(gateway_server: GatewayServer, within_the_hour: None) -> GatewayServer:
    """The running product, with nothing counted yet and an upstream that does as it is told."""
    gateway_server.flush_counters()
    gateway_server.upstream.reset()
    return gateway_server


@pytest.fixture
def new_page(chromium: Browser, site: GatewayServer) -> Iterator[NewPage]:
    """Opens a page in a browser profile of its own; arguments are Playwright's for a context.

    A script that fails, or anything that the content security policy stops, fails the test.
    """
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def new(**options: Any) -> Page:
        settings = {"viewport": WIDE, "locale": "en-GB", "timezone_id": "Europe/Berlin"}
        context = chromium.new_context(base_url=site.base_url, **{**settings, **options})
        context.set_default_timeout(_PATIENCE_MS)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console",
            lambda message: (
                complaints.append(message.text)
                if "Content Security Policy" in message.text
                else None
            ),
        )
        return page

    yield new
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def page(new_page: NewPage) -> Page:
    """A fresh browser on a wide screen, nine in the morning in Berlin or not."""
    return new_page()


@pytest.fixture
def picture(request: pytest.FixtureRequest) -> Picture:
    """Keeps what a page looks like, when it was asked for."""

    def take(page: Page, name: str) -> None:
        if request.config.getoption("--screenshots"):
            _PICTURES.mkdir(parents=True, exist_ok=True)
            page.screenshot(path=_PICTURES / f"{name}.png", animations="disabled")

    return take


_numbers = itertools.count()


def settle_all(site: GatewayServer) -> None:
    """Returns once every request has ended and the counters, read anew, know it."""
    running = "SELECT count(*) FROM billing_ledgerentry WHERE status = 'reserved'"
    site.upstream.wait_until(lambda _: site.sql(running) == [(0,)])
    site.flush_counters()


def new_email() -> str:
    """An address that nobody has."""
    return f"dana-{os.getpid()}-{next(_numbers)}@example.com"


def sign_up(page: Page) -> str:
    """Signs somebody up by the form, and stays on their dashboard; gives their address."""
    email = new_email()
    page.goto("/signup/")
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()
    page.wait_for_url("**/dashboard/")
    return email


def create_token(page: Page, name: str = "laptop") -> str:
    """Creates a token on the tokens page and stays where it is shown; gives the secret."""
    page.goto("/tokens/")
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Create token").click()
    return page.get_by_label("Your token", exact=True).inner_text().strip()
