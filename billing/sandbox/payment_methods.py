"""A customer's cards."""

from billing.sandbox import cards, dunning, invoices, shapes, subscriptions
from billing.sandbox.sandbox import Sandbox
from billing.sandbox.store import Object


def make(sandbox: Sandbox, customer: str, number: str, expiry: str) -> Object:
    """A card of this customer's that nothing is charged to yet.  Its number is not kept."""
    found = shapes.made("payment_method", "pm", sandbox.clock.now(), type="card")
    found |= {"customer": customer, "card": cards.card(number, expiry)}
    found |= {"billing_details": {"email": None, "name": None, "phone": None, "address": None}}
    found["_behaviour"] = cards.behaviour(cards.plain(number))
    return sandbox.store.put(found)


def use(sandbox: Sandbox, method: Object) -> str:
    """Charges everything to this card from now on, and what is owed at once.

    Why the bank refused what is owed; empty when nothing is left to pay.
    """
    sandbox.emit("payment_method.attached", method)
    customer = sandbox.need("customer", method["customer"])
    before = {"invoice_settings": customer["invoice_settings"]}
    chosen = customer["invoice_settings"] | {"default_payment_method": method["id"]}
    sandbox.save("customer.updated", customer | {"invoice_settings": chosen}, before)
    refused = ""
    for one in sandbox.store.every("subscription", owner=customer["id"]):
        if one["status"] in subscriptions.ENDED:
            continue
        subscriptions.update(sandbox, one, default_payment_method=method["id"])
        for invoice in reversed(invoices.of_subscription(sandbox, one, "open", "draft")):
            refused = refused or dunning.pay(sandbox, invoice, method["id"])
    return refused
