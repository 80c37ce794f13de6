"""The pages that Stripe would host: Checkout, the bank's question, the customer portal.

They work without scripts.  A page is reached by its unguessable id, as Stripe's are.
"""

from aiohttp import web

from billing.sandbox.pages import checkout, portal, portal_card
from billing.sandbox.pages.rendering import STYLE, styles
from billing.sandbox.sandbox import Sandbox


def add_pages(app: web.Application, sandbox: Sandbox) -> None:
    """Serves the pages."""
    app.router.add_get(STYLE, styles)
    checkout.add_to(app, sandbox)
    portal.add_to(app, sandbox)
    portal_card.add_to(app, sandbox)
