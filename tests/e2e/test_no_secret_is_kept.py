"""Whatever happens on the way to Pro, no token, key or card number is kept anywhere."""

import sqlite3
from contextlib import closing
from typing import Final

import httpx
from playwright.sync_api import Page, expect

from tests.e2e.conftest import create_token, sign_up
from tests.e2e.test_upgrade import AUTHENTICATE, go_to_checkout, on_pro, pay, tier_of
from tests.gateway_server import GatewayServer
from tests.stripe_sandbox import DECLINED

_MASTERCARD: Final = "5555555555554444"
_CARDS: Final = (DECLINED, AUTHENTICATE, _MASTERCARD)
_TABLES: Final = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"


def everything_about_paying(page: Page, site: GatewayServer, secret: str) -> None:
    """A refusal, a bank's question, an upgrade, calls, another card and a cancellation."""
    headers = {"Authorization": f"Bearer {secret}"}
    go_to_checkout(page)
    pay(page, DECLINED)
    expect(page.get_by_text("Your card was declined.")).to_be_visible()
    pay(page, AUTHENTICATE)
    page.get_by_role("button", name="Complete").click()
    on_pro(page)
    for path in ("key", "no-such-path"):
        httpx.get(f"{site.base_url}/v1/{path}", headers=headers, timeout=10)
    page.goto("/billing/")
    page.get_by_role("button", name="Change card or plan").click()
    page.get_by_role("link", name="Replace card").click()
    page.get_by_label("Card number").fill(_MASTERCARD)
    page.get_by_label("Expiry").fill("12/40")
    page.get_by_label("CVC").fill("123")
    page.locator("main").get_by_role("button", name="card").last.click()
    expect(page.get_by_text("Mastercard ending in 4444")).to_be_visible()
    page.get_by_role("link", name="Cancel subscription").click()
    page.get_by_role("button", name="Cancel subscription").click()
    expect(page.get_by_text("does not renew")).to_be_visible()


def written_by(site: GatewayServer) -> dict[str, str]:
    """By where it is: each table of ours, what the parts have said, what the sandbox keeps."""
    written = {
        name: str(site.sql(f'SELECT row_to_json(t)::text FROM "{name}" t'))
        for (name,) in site.sql(_TABLES)
    }
    paths = site.product.paths
    for file in (site.product.output, *paths.logs.iterdir(), *paths.sandbox_state.parent.iterdir()):
        written[file.name] = file.read_bytes().decode("latin-1")  # what is deleted is there, too
    with closing(sqlite3.connect(f"file:{paths.sandbox_state}?mode=ro", uri=True)) as database:
        written["the sandbox"] = "\n".join(database.iterdump())
    return written


def test_no_token_key_or_card_number_is_kept_or_logged(page: Page, site: GatewayServer) -> None:
    email = sign_up(page)
    secret = create_token(page)
    everything_about_paying(page, site, secret)
    assert tier_of(site, email) == "pro"
    paths = site.product.paths
    secrets = [secret, paths.sandbox_key.read_text(), paths.sandbox_secret.read_text()]
    for number in _CARDS:
        secrets += [number, " ".join(number[at : at + 4] for at in range(0, 16, 4))]

    written = written_by(site)

    assert all(email in written[where] for where in ("accounts_user", "the sandbox"))
    assert "evt_" in written["billing_webhookevent"]
    assert "4444" in written["the sandbox"], "cards' last four digits are all that is kept"
    found = [
        (where, secret)
        for where, text in written.items()
        for secret in secrets
        if secret.strip() in text
    ]
    assert found == []
