"""Subscriptions and invoices."""

from billing.sandbox import dunning, invoices, plans, subscriptions
from billing.sandbox.calls.call import Call
from billing.sandbox.errors import ApiError, CardDeclined, missing
from billing.sandbox.params import LATEST, Params
from billing.sandbox.sandbox import Sandbox
from billing.sandbox.store import Object


def update_subscription(sandbox: Sandbox, params: Params, subscription_id: str) -> Object:
    """Changes what is given, and nothing else."""
    found = sandbox.need("subscription", subscription_id)
    if found["status"] in subscriptions.ENDED:
        raise ApiError("A canceled subscription can only update its metadata.", "", "id")
    metadata = params.metadata(found["metadata"])
    method = params.optional("default_payment_method")
    if method and sandbox.need("payment_method", method)["customer"] != found["customer"]:
        raise missing("PaymentMethod", method, "default_payment_method")
    subscriptions.update(
        sandbox,
        found,
        metadata=metadata,
        default_payment_method=method or found["default_payment_method"],
    )
    _set_end(sandbox, params, found)
    return _set_plan(sandbox, params, found)


def cancel_subscription(sandbox: Sandbox, params: Params, subscription_id: str) -> Object:
    """Ends it at once."""
    found = sandbox.need("subscription", subscription_id)
    if found["status"] in subscriptions.ENDED:
        raise missing("subscription", subscription_id)
    params.ignore("invoice_now", "prorate", "cancellation_details")
    return subscriptions.cancel(sandbox, found, "cancellation_requested")


def pay_invoice(sandbox: Sandbox, params: Params, invoice_id: str) -> Object:
    """Charges for it now.  CardDeclined where the bank refuses."""
    found = sandbox.need("invoice", invoice_id)
    method = params.optional("payment_method")
    if method and sandbox.need("payment_method", method)["customer"] != found["customer"]:
        raise missing("PaymentMethod", method, "payment_method")
    params.done()
    refused = dunning.pay(sandbox, found, method)
    if refused:
        raise CardDeclined(refused)
    return found


def void_invoice(sandbox: Sandbox, _: Params, invoice_id: str) -> Object:
    """Nobody has to pay it any more."""
    return invoices.void(sandbox, sandbox.need("invoice", invoice_id))


def _set_end(sandbox: Sandbox, params: Params, found: Object) -> None:
    if "cancel_at" in params:
        moment = params.optional_whole("cancel_at", sandbox.clock.now(), LATEST)
        subscriptions.end_at(sandbox, found, moment)
    wanted = params.flag("cancel_at_period_end")
    if wanted is not None:
        subscriptions.end_with_its_period(sandbox, found, wanted=wanted)
    params.ignore("cancellation_details")


def _set_plan(sandbox: Sandbox, params: Params, found: Object) -> Object:
    proration = params.choice("proration_behavior", "create_prorations", "always_invoice", "none")
    params.ignore("payment_behavior", "billing_cycle_anchor")
    items = params.groups("items")
    if not items:
        return found
    item = found["items"]["data"][0]["id"]
    if len(items) > 1 or items[0].text("id") != item:
        raise ApiError(f"Its only item is {item}.", "parameter_invalid", "items[0][id]")
    price = sandbox.need("price", items[0].text("price"), "items[0][price]")
    return plans.change(sandbox, found, price, proration or "create_prorations")


CALLS: dict[tuple[str, str], Call] = {
    ("POST", "subscriptions/*"): update_subscription,
    ("DELETE", "subscriptions/*"): cancel_subscription,
    ("POST", "invoices/*/pay"): pay_invoice,
    ("POST", "invoices/*/void"): void_invoice,
}
