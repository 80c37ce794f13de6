"""Customers, their balance and their cards."""

from typing import Final

from billing.sandbox import cards, checkout, payment_methods, reading, shapes, subscriptions
from billing.sandbox.calls.call import Call, texts
from billing.sandbox.errors import ApiError, missing
from billing.sandbox.params import LARGEST_AMOUNT, Params
from billing.sandbox.sandbox import Sandbox
from billing.sandbox.store import Object

_TEXTS: Final = ("email", "name", "description", "phone")


def create_customer(sandbox: Sandbox, params: Params, _: str) -> Object:
    """Somebody who pays."""
    found = shapes.made("customer", "cus", sandbox.clock.now(), **dict.fromkeys(_TEXTS))
    found |= {"balance": params.optional_whole("balance", -LARGEST_AMOUNT) or 0}
    found |= {"currency": "usd", "delinquent": False, "invoice_prefix": "SANDBOX"}
    found["invoice_settings"] = {"default_payment_method": None}
    return sandbox.save("customer.created", _given(sandbox, params, found))


def update_customer(sandbox: Sandbox, params: Params, customer_id: str) -> Object:
    """Changes what is given."""
    before = sandbox.need("customer", customer_id)
    found = _given(sandbox, params, dict(before))
    changed = {key: value for key, value in before.items() if found[key] != value}
    return sandbox.save("customer.updated", found, changed)


def delete_customer(sandbox: Sandbox, _: Params, customer_id: str) -> Object:
    """Ends everything of theirs."""
    found = sandbox.need("customer", customer_id)
    for one in sandbox.store.every("subscription", owner=customer_id):
        if one["status"] not in subscriptions.ENDED:
            subscriptions.cancel(sandbox, one, "cancellation_requested")
    for session in sandbox.store.every("checkout.session", owner=customer_id):
        if session["status"] == "open":
            checkout.expire(sandbox, session)
    sandbox.emit("customer.deleted", found)
    return sandbox.store.put({"id": customer_id, "object": "customer", "deleted": True})


def add_balance(sandbox: Sandbox, params: Params, customer_id: str) -> Object:
    """Moves the balance: a negative amount is credit for the next invoices."""
    customer = sandbox.need("customer", customer_id)
    cents = params.whole("amount", -LARGEST_AMOUNT)
    before = {"balance": customer["balance"]}
    customer["balance"] += cents
    found = shapes.made("customer_balance_transaction", "cbtxn", sandbox.clock.now())
    found |= {"customer": customer_id, "amount": cents, "ending_balance": customer["balance"]}
    found |= {"currency": params.text("currency"), "type": "adjustment", "description": None}
    found |= texts(params, "description") | {"metadata": params.metadata()}
    sandbox.save("customer.updated", customer, before)
    return sandbox.store.put(found)


def list_balance(sandbox: Sandbox, params: Params, customer_id: str) -> Object:
    """What has moved the balance by a call, newest first."""
    sandbox.need("customer", customer_id)
    kind = "customer_balance_transaction"
    found = sandbox.store.every(kind, owner=customer_id)
    url = f"/v1/customers/{customer_id}/balance_transactions"
    return reading.page(kind, found, url, params)


def attach(sandbox: Sandbox, params: Params, method_id: str) -> Object:
    """Gives a customer one of Stripe's ready-made cards, as `pm_card_visa`."""
    customer = sandbox.need("customer", params.text("customer"), "customer")
    found = sandbox.store.get("payment_method", method_id)
    if found is None and method_id in cards.TOKENS:
        found = payment_methods.make(sandbox, customer["id"], cards.TOKENS[method_id], "12/34")
    if found is None:
        raise missing("PaymentMethod", method_id, "payment_method")
    if found["customer"] != customer["id"]:
        raise ApiError("The payment method is another customer's.", "", "customer")
    sandbox.emit("payment_method.attached", found)
    return found


def _given(sandbox: Sandbox, params: Params, found: Object) -> Object:
    found |= texts(params, *_TEXTS) | {"metadata": params.metadata(found["metadata"])}
    chosen = params.group("invoice_settings")
    if "default_payment_method" in chosen:
        method = chosen.optional("default_payment_method")
        if method and sandbox.need("payment_method", method)["customer"] != found["id"]:
            raise missing("PaymentMethod", method, "invoice_settings[default_payment_method]")
        found["invoice_settings"] = {"default_payment_method": method}
    params.ignore("address", "shipping", "preferred_locales", "tax_exempt", "tax")
    return found


CALLS: dict[tuple[str, str], Call] = {
    ("POST", "customers"): create_customer,
    ("POST", "customers/*"): update_customer,
    ("DELETE", "customers/*"): delete_customer,
    ("GET", "customers/*/balance_transactions"): list_balance,
    ("POST", "customers/*/balance_transactions"): add_balance,
    ("POST", "payment_methods/*/attach"): attach,
}
