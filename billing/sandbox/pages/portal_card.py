"""The portal's pages for another card; what is owed is charged to it at once."""

from typing import Final

from aiohttp import web

from billing.sandbox import cards, payment_methods
from billing.sandbox.pages.rendering import Form, see_other, served
from billing.sandbox.pages.visits import Visit
from billing.sandbox.sandbox import Sandbox
from billing.sandbox.store import Object

_FEATURE: Final = "payment_method_update"
_NOT_AUTHENTICATED: Final = "We are unable to authenticate your payment method."


def add_to(app: web.Application, sandbox: Sandbox) -> None:
    """Serves the pages."""
    pages = _Card(sandbox)
    home = "/p/session/{session}"
    app.router.add_get(f"{home}/card", served(sandbox, pages.show))
    app.router.add_post(f"{home}/card", served(sandbox, pages.replace))
    app.router.add_get(f"{home}/auth", served(sandbox, pages.ask))
    app.router.add_post(f"{home}/auth", served(sandbox, pages.answer))


class _Card:
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def show(self, request: web.Request, _: Form) -> web.Response:
        """The form."""
        visit = Visit.of(self._sandbox, request, _FEATURE)
        message = _NOT_AUTHENTICATED if "refused" in request.query else ""
        form = cards.to_try(request.query.get("card", ""))
        return visit.page("replace.html", form=form, field="", message=message)

    def replace(self, request: web.Request, form: Form) -> web.Response:
        """The card from now on, or the bank's question, or the form again."""
        visit = Visit.of(self._sandbox, request, _FEATURE)
        number, expiry = form.get("number", ""), form.get("expiry", "")
        now = self._sandbox.clock.now()
        if wrong := cards.refusal(number, expiry, form.get("cvc", ""), now):
            values = {"form": form, "field": wrong.field, "message": wrong.message}
            return visit.page("replace.html", status=422, **values)
        method = payment_methods.make(self._sandbox, visit.customer["id"], number, expiry)
        if method["_behaviour"] == cards.ASKS:
            self._sandbox.store.put(visit.session | {"_method": method["id"]})
            return see_other(f"{visit.path}/auth")
        return self._use(visit, method)

    def ask(self, request: web.Request, _: Form) -> web.Response:
        """The bank's question."""
        visit = Visit.of(self._sandbox, request, _FEATURE)
        self._waiting(visit)
        return visit.page("authenticate.html", cents=0)

    def answer(self, request: web.Request, form: Form) -> web.Response:
        """On with the card, or back to the form."""
        visit = Visit.of(self._sandbox, request, _FEATURE)
        method = self._waiting(visit)
        self._sandbox.store.put(visit.session | {"_method": None})
        if form.get("answer") == "complete":
            return self._use(visit, method)
        return see_other(f"{visit.path}/card?refused=1")

    def _waiting(self, visit: Visit) -> Object:
        return self._sandbox.need("payment_method", visit.session["_method"] or "")

    def _use(self, visit: Visit, method: Object) -> web.Response:
        refused = payment_methods.use(self._sandbox, method)
        return see_other(f"{visit.path}?done={'owed' if refused else 'card'}")
