"""Who has just paid is served as Pro: each call a second after the entitlement, with the old token.

The calls go on all through the payment, so that every web process knows the token as a free one
until the moment that it is not.
"""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import httpx
import pytest
from playwright.sync_api import Page

from tests.e2e.conftest import create_token, sign_up
from tests.e2e.test_upgrade import go_to_checkout, limit_of, on_pro, pay, tier_of
from tests.gateway_server import GatewayServer

PRO_MODEL: Final = "for-pro"
PROMISED: Final = 1.0  # seconds; a bound of the product, not a measure of the machine
CALLS: Final = 20
PROGRAMS: Final = 3  # calling at once, or one web process would take all the calls
GIVE_UP: Final = 60.0

_MODEL: Final = """
WITH model AS (
    INSERT INTO gateway_publicmodel
           (name, title, description, tier, context_window, max_output_tokens, balancing,
            cache_seconds, enabled, created_at)
    SELECT %s, title, description, 'pro', context_window, max_output_tokens, balancing,
           cache_seconds, true, now()
      FROM gateway_publicmodel WHERE name = 'scalix-free' RETURNING id)
INSERT INTO gateway_placement (model_id, deployment_id, priority, weight, tier)
SELECT model.id, deployment_id, priority, weight, placement.tier
  FROM model, gateway_placement placement
  JOIN gateway_publicmodel free ON free.id = placement.model_id WHERE free.name = 'scalix-free'
"""


@pytest.fixture
def pro_model(site: GatewayServer) -> Iterator[str]:
    """A model that only Pro may use, served as the free one is."""
    site.sql(_MODEL, (PRO_MODEL,))
    yield PRO_MODEL
    mine = "(SELECT id FROM gateway_publicmodel WHERE name = %s)"
    site.sql(f"DELETE FROM gateway_placement WHERE model_id = {mine}", (PRO_MODEL,))
    site.sql("DELETE FROM gateway_publicmodel WHERE name = %s", (PRO_MODEL,))


def completed(site: GatewayServer, secret: str, model: str) -> int:
    """The status of one completion, over a connection of its own."""
    body = {"model": model, "messages": [{"role": "user", "content": "Hi."}]}
    headers = {"Authorization": f"Bearer {secret}"}
    url = f"{site.base_url}/v1/chat/completions"
    return httpx.post(url, json=body, headers=headers, timeout=10).status_code


def plans_through(
    site: GatewayServer, email: str, secret: str, begun: threading.Barrier
) -> tuple[list[str], list[str]]:
    """What calls said, each over a new connection: before the entitlement, and a second after it.

    The entitlement counts from when another connection to the database first sees it: it was
    committed by then, so that a slow machine makes this too kind by one round and never unfair.
    Nobody pays before `begun`, for which every program has called once.
    """
    before = [limit_of(site, secret)]
    after: list[str] = []
    begun.wait(GIVE_UP)
    entitled_at: float | None = None
    give_up = time.monotonic() + GIVE_UP
    while len(after) < CALLS:
        called_at = time.monotonic()
        assert called_at < give_up, "the payment was never heard of"
        plan = limit_of(site, secret)
        if entitled_at is None and tier_of(site, email) == "pro":
            entitled_at = time.monotonic()
        elif entitled_at is None:
            before.append(plan)
        elif called_at >= entitled_at + PROMISED:
            after.append(plan)
    return before, after


def test_a_second_after_the_entitlement_every_call_is_pro_s_with_the_old_token(
    page: Page, site: GatewayServer, pro_model: str
) -> None:
    email = sign_up(page)
    secret = create_token(page)
    while (refused := completed(site, secret, pro_model)) == 404:
        pass  # the catalogue is read again twice a second
    assert refused == 403
    go_to_checkout(page)

    begun = threading.Barrier(PROGRAMS + 1)
    with ThreadPoolExecutor(PROGRAMS) as threads:
        programs = [
            threads.submit(plans_through, site, email, secret, begun) for _ in range(PROGRAMS)
        ]
        begun.wait(GIVE_UP)
        pay(page)
        on_pro(page)
        said = [program.result() for program in programs]

    for before, after in said:
        assert set(before) == {"free"}
        assert after == ["pro"] * CALLS
    assert completed(site, secret, pro_model) == 200
