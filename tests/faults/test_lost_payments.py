"""A payment of which nothing was heard: the worker that starts finds it."""

import httpx

from bench.upgrade import begin_checkout, send
from tests.gateway_server import GatewayServer
from tests.stripe_sandbox import GOOD

EMAIL = "lost-payment@example.com"
WITHIN = 60.0  # seconds, as promised

_OF_HERS = " JOIN accounts_user u ON u.id = t.user_id WHERE u.email = %s"
_PRO = "SELECT 1 FROM billing_subscription t" + _OF_HERS + " AND t.tier = 'pro'"
_TRAIL = "SELECT t.before, t.after, t.reason FROM billing_tierchange t" + _OF_HERS
_MAILS = "SELECT t.kind FROM billing_outgoingmail t" + _OF_HERS
_EVENTS = (
    """
SELECT DISTINCT e.state, e.found_by_reconciler FROM billing_webhookevent e
  JOIN billing_customer t ON t.stripe_id = e.customer_stripe_id
"""
    + _OF_HERS
)


def test_a_payment_whose_every_event_is_lost_is_found_by_the_worker_that_starts_next(
    gateway_server: GatewayServer,
) -> None:
    """No webhook, no return page, and the beat's reconciler is minutes away."""
    site = gateway_server
    site.stripe("deliveries", mode="drop")
    try:
        with httpx.Client(base_url=site.base_url, timeout=20) as browser:
            send(browser, "/signup/", email=EMAIL, password1="correct horse battery")
            session = begin_checkout(browser)
        assert site.stripe("pay", session=session, number=GOOD)["outcome"] == "paid"
    finally:
        site.stripe("deliveries", mode="ok")
    assert site.sql(_TRAIL, (EMAIL,)) == []

    (worker,) = site.product.pids("worker")
    site.product.kill(worker)

    site.product.wait_until(lambda: len(site.sql(_PRO, (EMAIL,))) == 1, "she is on pro", WITHIN)
    assert site.sql(_TRAIL, (EMAIL,)) == [("free", "pro", "active")]
    assert site.sql(_MAILS, (EMAIL,)) == [("upgraded",)]
    site.product.wait_until(
        lambda: site.sql(_EVENTS, (EMAIL,)) == [("done", True)], "its events came to their end"
    )
