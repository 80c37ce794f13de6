"""Checkout sessions: paid, declined, questioned by a bank, expired."""

from dataclasses import dataclass
from typing import Literal

from billing.sandbox import cards, invoices, payment_methods, shapes
from billing.sandbox.sandbox import Sandbox
from billing.sandbox.shapes import Line
from billing.sandbox.store import Object


@dataclass(frozen=True)
class Payment:
    """What came of an attempt to pay."""

    outcome: Literal["paid", "declined", "authenticate", "closed"]
    message: str = ""
    redirect: str = ""
    field: str = ""
    """Which field of the card form the message is about."""


_CLOSED = Payment("closed", "This page has been paid or has expired.")


def session(sandbox: Sandbox, session_id: str) -> Object | None:
    """A session as it is now."""
    found = sandbox.store.get("checkout.session", session_id)
    if found and found["status"] == "open" and found["_expires_at"] <= sandbox.clock.now():
        expire(sandbox, found)
    return found


def expire(sandbox: Sandbox, found: Object) -> None:
    """Closes its page."""
    found |= {"status": "expired", "url": None}
    sandbox.save("checkout.session.expired", found)


def due_today(sandbox: Sandbox, found: Object) -> int:
    """Cents to pay now: the total after the customer's balance."""
    balance = sandbox.need("customer", found["customer"])["balance"]
    return max(0, int(found["amount_total"]) + int(balance))


def pay(sandbox: Sandbox, session_id: str, number: str, expiry: str, cvc: str) -> Payment:
    """Pays a session with what was typed on its page."""
    found = session(sandbox, session_id)
    if found is None or found["status"] != "open":
        return _CLOSED
    refused = cards.refusal(number, expiry, cvc, sandbox.clock.now())
    if refused:
        return Payment("declined", refused.message, field=refused.field)
    method = payment_methods.make(sandbox, found["customer"], number, expiry)
    if method["_behaviour"] == cards.ASKS:
        sandbox.store.put(found | {"_method": method["id"]})
        return Payment("authenticate")
    return _complete(sandbox, found, method)


def authenticate(sandbox: Sandbox, session_id: str, *, approved: bool) -> Payment:
    """Goes on after the bank's question."""
    found = session(sandbox, session_id)
    if found is None or found["status"] != "open" or not found["_method"]:
        return _CLOSED
    method = sandbox.need("payment_method", found["_method"])
    found["_method"] = None
    if approved:
        return _complete(sandbox, found, method)
    sandbox.store.put(found)
    return Payment("declined", "We are unable to authenticate your payment method.")


def _complete(sandbox: Sandbox, found: Object, method: Object) -> Payment:
    sandbox.emit("payment_method.attached", method)
    price = sandbox.need("price", found["_price"])
    subscription = shapes.subscription(found["customer"], price, method["id"], sandbox.clock.now())
    subscription |= {"metadata": found["_subscription_metadata"], "_pending": []}
    subscription["_period_cents"] = found["amount_total"]
    discount = found["amount_subtotal"] - found["amount_total"]
    line = Line(
        sandbox.need("product", price["product"])["name"], found["amount_subtotal"], discount
    )
    invoice = invoices.draft(sandbox, subscription, [line], "subscription_create")
    invoices.finalize(sandbox, invoice)
    invoices.attempt(sandbox, invoice, method["id"], renewal=False)
    subscription["latest_invoice"] = invoice["id"]
    sandbox.save("customer.subscription.created", subscription)
    found |= {"status": "complete", "payment_status": "paid", "url": None}
    found |= {"subscription": subscription["id"], "invoice": invoice["id"]}
    sandbox.save("checkout.session.completed", found)
    redirect = found["success_url"].replace("{CHECKOUT_SESSION_ID}", found["id"])
    return Payment("paid", redirect=redirect)
