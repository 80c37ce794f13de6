"""The customer portal: plan and invoices, and what a customer may change about them."""

from typing import Final

from aiohttp import web

from billing.sandbox import cards, plans, subscriptions
from billing.sandbox.pages.rendering import Form, see_other, served
from billing.sandbox.pages.visits import Visit
from billing.sandbox.sandbox import Sandbox

_DONE: Final = {
    "cancelled": "Your subscription ends with its period.",
    "ended": "Your subscription has ended.",
    "resumed": "Your subscription goes on.",
    "switched": "Your plan was changed.",
    "card": "Your card was replaced.",
    "owed": "Your card was replaced, but the bank refused what is owed.",
}
_CANCEL: Final = "subscription_cancel"
_UPDATE: Final = "subscription_update"


def add_to(app: web.Application, sandbox: Sandbox) -> None:
    """Serves the portal's pages."""
    pages = _Portal(sandbox)
    home, one = "/p/session/{session}", "/p/session/{session}/{subscription}"
    app.router.add_get(home, served(sandbox, pages.show))
    app.router.add_get(f"{one}/cancel", served(sandbox, pages.confirm_cancelling))
    app.router.add_post(f"{one}/cancel", served(sandbox, pages.cancel))
    app.router.add_post(f"{one}/resume", served(sandbox, pages.resume))
    app.router.add_get(one + "/plan/{price}", served(sandbox, pages.preview))
    app.router.add_post(one + "/plan/{price}", served(sandbox, pages.switch))


class _Portal:
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def show(self, request: web.Request, _: Form) -> web.Response:
        """Everything at a glance."""
        visit = Visit.of(self._sandbox, request)
        method = visit.method()
        return visit.page(
            "portal.html",
            subscriptions=[visit.described(one) for one in visit.subscriptions()],
            card=method["card"] if method else None,
            invoices=self._sandbox.store.every("invoice", owner=visit.customer["id"]),
            done=_DONE.get(request.query.get("done", ""), ""),
        )

    def confirm_cancelling(self, request: web.Request, _: Form) -> web.Response:
        """The question before it ends."""
        visit = Visit.of(self._sandbox, request, _CANCEL)
        return visit.page("cancel.html", one=visit.described(visit.subscription(request)))

    def cancel(self, request: web.Request, _: Form) -> web.Response:
        """It ends: with its period, or at once where the configuration says so."""
        visit = Visit.of(self._sandbox, request, _CANCEL)
        found = visit.subscription(request)
        if visit.ends_at_once:
            subscriptions.cancel(self._sandbox, found, "cancellation_requested")
            return see_other(f"{visit.path}?done=ended")
        subscriptions.end_with_its_period(self._sandbox, found, wanted=True)
        return see_other(f"{visit.path}?done=cancelled")

    def resume(self, request: web.Request, _: Form) -> web.Response:
        """It goes on after all."""
        visit = Visit.of(self._sandbox, request, _CANCEL)
        found = visit.subscription(request)
        subscriptions.end_with_its_period(self._sandbox, found, wanted=False)
        return see_other(f"{visit.path}?done=resumed")

    def preview(self, request: web.Request, _: Form) -> web.Response:
        """What another plan costs now."""
        return self._preview(request, Visit.of(self._sandbox, request, _UPDATE))

    def switch(self, request: web.Request, _: Form) -> web.Response:
        """The other plan, unless the bank refuses what it costs now."""
        visit = Visit.of(self._sandbox, request, _UPDATE)
        found, price, method = visit.subscription(request), visit.price(request), visit.method()
        due = plans.due_now(self._sandbox, found, price)[1]
        refused = "There is no card to charge."
        if method is not None:
            refused = cards.bank_says(method["_behaviour"], renewal=True)
        if due and refused:
            return self._preview(request, visit, f"{refused} Your plan has not changed.", 422)
        plans.change(self._sandbox, found, price, "always_invoice")
        return see_other(f"{visit.path}?done=switched")

    def _preview(
        self, request: web.Request, visit: Visit, message: str = "", status: int = 200
    ) -> web.Response:
        price = visit.price(request)
        changed, due = plans.due_now(self._sandbox, visit.subscription(request), price)
        return visit.page(
            "plan.html",
            status=status,
            price=price,
            changed=changed,
            due=due,
            balance=visit.customer["balance"],
            message=message,
        )
