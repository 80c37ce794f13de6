"""The dashboard as it is watched: figures that follow, the reader's own time, every quota."""

import httpx
from playwright.sync_api import Page, expect

from tests.e2e.conftest import NewPage, Picture, create_token, sign_up
from tests.gateway_server import GatewayServer

_SPEND = """
INSERT INTO billing_ledgerentry (id, account_id, token_id, tier, model, deployment, status, charged,
       streamed, reserved_tokens, prompt_tokens, completion_tokens, cached_tokens, estimated,
       cost_micros, price_micros, attempts, error_code, admitted_at, ended_at, process_id,
       deadline_at)
SELECT uuidv7(day.at - now()), person.id, token.id, 'free', 'scalix-free', 'upstream',
       CASE WHEN number %% 17 = 0 THEN 'failed' ELSE 'settled' END, number %% 17 <> 0, true, 0,
       CASE WHEN number %% 17 = 0 THEN 0 ELSE %(tokens)s END, 0, 0, false, 0, 0, '[]', '', day.at,
       day.at + (400 + number * 37 %% 900) * interval '1 ms', gen_random_uuid(), day.at
  FROM accounts_user person
  JOIN accounts_apitoken token ON token.user_id = person.id
 CROSS JOIN generate_series(1, %(requests)s) AS number
 CROSS JOIN LATERAL (SELECT now() - %(days)s * interval '1 day' - number * interval '1 s') day (at)
 WHERE person.email = %(email)s
"""
_CONNECTIONS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"


def spend(site: GatewayServer, email: str, requests: int, tokens: int = 10, days: int = 0) -> None:
    """Puts requests into somebody's ledger and makes the counters read it again."""
    parameters = {"email": email, "requests": requests, "tokens": tokens, "days": days}
    site.sql(_SPEND, parameters)
    site.flush_counters()


def ask(site: GatewayServer, secret: str) -> int:
    """The status of one completion."""
    return httpx.post(
        f"{site.base_url}/v1/chat/completions",
        headers={"Authorization": f"Bearer {secret}"},
        json={"model": "scalix-free", "messages": [{"role": "user", "content": "Hello"}]},
        timeout=30,
    ).status_code


def test_the_figures_follow_without_a_reload(page: Page, site: GatewayServer) -> None:
    sign_up(page)
    secret = create_token(page)
    page.goto("/dashboard/")
    expect(page.locator("#live")).to_contain_text("Requests this hour0 of 10")

    assert ask(site, secret) == 200

    expect(page.locator("#live")).to_contain_text("1 of 10")
    expect(page.locator("tbody tr", has_text="laptop")).to_contain_text("answered")


def test_the_5th_the_8th_and_the_10th_request_of_an_hour(
    new_page: NewPage, site: GatewayServer, picture: Picture
) -> None:
    page = new_page()
    email = sign_up(page)
    secret = create_token(page)
    for days, requests in enumerate((40, 6, 17, 29, 48, 35, 26, 4, 9, 15, 32, 20, 11), start=1):
        spend(site, email, requests, 180, days)
    for _ in range(4):
        assert ask(site, secret) == 200
    page.goto("/dashboard/")
    expect(page.get_by_text("Requests this hour")).to_be_visible()
    expect(page.get_by_text("You have used")).to_be_hidden()

    assert ask(site, secret) == 200
    expect(page.get_by_text("You have used 50 % of this hour’s requests.")).to_be_visible()
    for _ in range(3):
        assert ask(site, secret) == 200
    expect(page.get_by_text("You have used 80 % of this hour’s requests.")).to_be_visible()
    picture(page, "dashboard-near-limit")
    page.get_by_role("button", name="Dismiss").click()
    expect(page.get_by_text("You have used")).to_be_hidden()

    assert [ask(site, secret) for _ in range(3)] == [200, 200, 429]
    expect(page.get_by_text("You have used all 10 of this hour’s requests.")).to_be_visible()
    picture(page, "dashboard-limit-reached")
    page.emulate_media(color_scheme="dark")
    picture(page, "dashboard-dark")
    page.get_by_role("link", name="Tokens").click()
    expect(page.locator("tbody tr")).to_contain_text("laptop")
    picture(page, "tokens-dark")


def test_resets_are_told_in_the_readers_time_in_utc_and_as_a_countdown(
    new_page: NewPage, site: GatewayServer
) -> None:
    page = new_page(timezone_id="Asia/Kolkata")
    sign_up(page)

    reset = page.locator("time[data-moment=reset]").first
    expect(reset).to_contain_text("05:30 your time (00:00 UTC), in")


def test_the_focus_stays_where_it_was_when_figures_are_renewed(
    page: Page, site: GatewayServer
) -> None:
    sign_up(page)
    secret = create_token(page)
    page.goto("/dashboard/")
    page.locator("#quickstart").focus()

    assert ask(site, secret) == 200

    expect(page.locator("#live")).to_contain_text("1 of 10")
    expect(page.locator("#quickstart")).to_be_focused()


def test_watching_it_for_long_keeps_no_connections_to_postgres(
    page: Page, site: GatewayServer
) -> None:
    sign_up(page)
    [(before,)] = site.sql(_CONNECTIONS)

    for _ in range(40):
        page.request.get("/dashboard/live/")

    [(after,)] = site.sql(_CONNECTIONS)
    assert after < before + 10


def test_logging_out_elsewhere_ends_the_watching(page: Page) -> None:
    sign_up(page)
    page.context.clear_cookies(name="sessionid")

    page.wait_for_url("**/login/**")
