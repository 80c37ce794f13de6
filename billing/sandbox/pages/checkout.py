"""Checkout: a session's page, and the question that a bank asks in between."""

from typing import Final

from aiohttp import web

from billing.sandbox import cards, checkout
from billing.sandbox.errors import missing
from billing.sandbox.pages.rendering import Form, gone, page, see_other, served
from billing.sandbox.sandbox import Sandbox
from billing.sandbox.store import Object

_PAID: Final = "This has been paid."
_EXPIRED: Final = "This page has expired. Nothing was charged."
_NOT_AUTHENTICATED: Final = (
    "We are unable to authenticate your payment method. Try it again, or use another card."
)


def add_to(app: web.Application, sandbox: Sandbox) -> None:
    """Serves Checkout's pages."""
    pages = _Checkout(sandbox)
    app.router.add_get("/c/pay/{session}", served(sandbox, pages.show))
    app.router.add_post("/c/pay/{session}", served(sandbox, pages.pay))
    app.router.add_get("/c/auth/{session}", served(sandbox, pages.ask))
    app.router.add_post("/c/auth/{session}", served(sandbox, pages.answer))


class _Checkout:
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def show(self, request: web.Request, _: Form) -> web.Response:
        """What is to pay, and the form."""
        session = self._session(request)
        if session["status"] != "open":
            return _closed(session)
        refused = _NOT_AUTHENTICATED if "refused" in request.query else ""
        return self._form(session, cards.to_try(request.query.get("card", "")), message=refused)

    def pay(self, request: web.Request, form: Form) -> web.Response:
        """On to the success page, to the bank's question, or the form again."""
        session = self._session(request)
        if session["status"] != "open":
            return _closed(session)
        typed = (form.get(name, "") for name in ("number", "expiry", "cvc"))
        paid = checkout.pay(self._sandbox, session["id"], *typed)
        if paid.outcome == "paid":
            return see_other(paid.redirect)
        if paid.outcome == "authenticate":
            return see_other(f"/c/auth/{session['id']}")
        return self._form(session, form, field=paid.field, message=paid.message)

    def ask(self, request: web.Request, _: Form) -> web.Response:
        """The bank's question."""
        session = self._session(request)
        if session["status"] != "open":
            return _closed(session)
        cents = checkout.due_today(self._sandbox, session)
        return page("authenticate.html", leads_to=session["success_url"], cents=cents)

    def answer(self, request: web.Request, form: Form) -> web.Response:
        """On to the success page, or back to the form."""
        session = self._session(request)
        if session["status"] != "open":
            return _closed(session)
        approved = form.get("answer") == "complete"
        paid = checkout.authenticate(self._sandbox, session["id"], approved=approved)
        if paid.outcome == "paid":
            return see_other(paid.redirect)
        refused = "?refused=1" if paid.outcome == "declined" else ""
        return see_other(f"/c/pay/{session['id']}{refused}")

    def _session(self, request: web.Request) -> Object:
        found = checkout.session(self._sandbox, request.match_info["session"])
        if found is None:
            raise missing("checkout.session", request.match_info["session"])
        return found

    def _form(
        self, session: Object, form: Form, *, field: str = "", message: str = ""
    ) -> web.Response:
        price = self._sandbox.need("price", session["_price"])
        return page(
            "pay.html",
            status=422 if field else 200,
            leads_to=session["success_url"],
            session=session,
            price=price,
            product=self._sandbox.need("product", price["product"]),
            customer=self._sandbox.need("customer", session["customer"]),
            coupon=session["_coupon"],
            due=checkout.due_today(self._sandbox, session),
            form=form,
            field=field,
            message=message,
        )


def _closed(session: Object) -> web.Response:
    if session["status"] == "complete":
        back = session["success_url"].replace("{CHECKOUT_SESSION_ID}", session["id"])
        return gone(_PAID, back=back, status=200)
    return gone(_EXPIRED, back=session["cancel_url"] or "", status=410)
