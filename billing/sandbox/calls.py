"""The calls of the API: parameters in, an object out."""

from collections.abc import Callable
from typing import Any

from billing.sandbox import shapes
from billing.sandbox.errors import ApiError, missing
from billing.sandbox.sandbox import Sandbox, discounted
from billing.sandbox.store import Object

Params = dict[str, Any]
Call = Callable[[Sandbox, Params, str], Object]


def create_customer(sandbox: Sandbox, params: Params, _: str) -> Object:
    customer = shapes.made("customer", "cus", sandbox.clock.now(), email=None, balance=0)
    customer |= {"invoice_settings": {"default_payment_method": None}, **params}
    sandbox.emit("customer.created", sandbox.store.put(customer))
    return customer


def create_product(sandbox: Sandbox, params: Params, _: str) -> Object:
    return sandbox.store.put(
        shapes.made("product", "prod", sandbox.clock.now(), active=True) | params
    )


def create_price(sandbox: Sandbox, params: Params, _: str) -> Object:
    sandbox.need("product", params.get("product", ""), "product")
    recurring = {"interval_count": 1, "usage_type": "licensed"} | params.pop("recurring", {})
    recurring["interval_count"] = int(recurring["interval_count"])
    if params.pop("transfer_lookup_key", "") == "true":
        for other in sandbox.store.every("price"):
            if other["lookup_key"] == params["lookup_key"]:
                sandbox.store.put(other | {"lookup_key": None})
    price = shapes.made("price", "price", sandbox.clock.now(), active=True, type="recurring")
    price |= {"lookup_key": None, **params, "recurring": recurring}
    price["unit_amount"] = int(params["unit_amount"])
    return sandbox.store.put(price)


def create_coupon(sandbox: Sandbox, params: Params, _: str) -> Object:
    if sandbox.store.get("coupon", params.get("id", "")):
        raise ApiError("Coupon already exists.", "resource_already_exists", "id")
    coupon = shapes.made("coupon", "coupon", sandbox.clock.now(), valid=True) | params
    for key in ("percent_off", "amount_off"):
        coupon[key] = float(coupon[key]) if coupon.get(key) else None
    if coupon["amount_off"]:
        coupon["amount_off"] = int(coupon["amount_off"])
    return sandbox.store.put(coupon)


def create_session(sandbox: Sandbox, params: Params, _: str) -> Object:
    now = sandbox.clock.now()
    sandbox.need("customer", params.get("customer", ""), "customer")
    price = sandbox.need("price", params["line_items"][0]["price"], "line_items[0][price]")
    offered = params.pop("discounts", [])
    coupon = sandbox.need("coupon", offered[0]["coupon"], "discounts") if offered else None
    ends = int(params.get("expires_at") or now + 86400)
    if not now + 1740 <= ends <= now + 86460:
        raise ApiError("`expires_at` must be 30 minutes to 24 hours ahead.", "", "expires_at")
    session = shapes.made("checkout.session", "cs_test", now, **params, price=price["id"])
    session["subscription_metadata"] = session.pop("subscription_data", {}).get("metadata", {})
    session.pop("line_items")
    session |= {"status": "open", "payment_status": "unpaid", "subscription": None}
    session |= {"currency": price["currency"], "expires_at": ends}
    session["amount_subtotal"] = price["unit_amount"]
    session["amount_total"] = discounted(price["unit_amount"], coupon)
    session["url"] = f"{sandbox.base}/c/pay/{session['id']}"
    return sandbox.store.put(session)


def expire_session(sandbox: Sandbox, _: Params, session_id: str) -> Object:
    found = sandbox.session(session_id)
    if found is None:
        raise missing("checkout.session", session_id)
    if found["status"] != "open":
        raise ApiError("Only open sessions can be expired.", "", "session")
    sandbox.expire(found)
    return found


def create_refund(sandbox: Sandbox, params: Params, _: str) -> Object:
    charge_id = params.get("charge")
    if not charge_id:
        intent = sandbox.need("payment_intent", params.get("payment_intent", ""), "payment_intent")
        charge_id = intent["latest_charge"]
    charge = sandbox.need("charge", charge_id, "charge")
    left = charge["amount"] - charge["amount_refunded"]
    cents = int(params.get("amount") or left)
    if left == 0:
        raise ApiError("Charge has already been refunded.", "charge_already_refunded")
    if not 0 < cents <= left:
        raise ApiError("Refund amount is greater than unrefunded amount.", "", "amount")
    return sandbox.refund(charge, cents)


def update_subscription(sandbox: Sandbox, params: Params, subscription_id: str) -> Object:
    wanted = params.get("cancel_at_period_end") == "true"
    return sandbox.set_cancel_at_period_end(subscription_id, wanted)


def cancel_subscription(sandbox: Sandbox, _: Params, subscription_id: str) -> Object:
    found = sandbox.need("subscription", subscription_id)
    if found["status"] == "canceled":
        raise missing("subscription", subscription_id)
    return sandbox.cancel(found)


def create_portal_session(sandbox: Sandbox, params: Params, _: str) -> Object:
    sandbox.need("customer", params.get("customer", ""), "customer")
    found = shapes.made("billing_portal.session", "bps", sandbox.clock.now(), **params)
    found["url"] = f"{sandbox.base}/p/session/{found['id']}"
    return sandbox.store.put(found)


def add_balance(sandbox: Sandbox, params: Params, customer_id: str) -> Object:
    customer, cents = sandbox.need("customer", customer_id), int(params["amount"])
    customer["balance"] = int(customer["balance"]) + cents
    sandbox.emit("customer.updated", sandbox.store.put(customer))
    change = shapes.made("customer_balance_transaction", "cbtxn", sandbox.clock.now(), **params)
    change |= {"customer": customer_id, "amount": cents, "ending_balance": customer["balance"]}
    return sandbox.store.put(change)


CALLS: dict[tuple[str, str], Call] = {
    ("POST", "customers"): create_customer,
    ("POST", "products"): create_product,
    ("POST", "prices"): create_price,
    ("POST", "coupons"): create_coupon,
    ("POST", "checkout/sessions"): create_session,
    ("POST", "checkout/sessions/*/expire"): expire_session,
    ("POST", "billing_portal/sessions"): create_portal_session,
    ("POST", "customers/*/balance_transactions"): add_balance,
    ("POST", "refunds"): create_refund,
    ("POST", "subscriptions/*"): update_subscription,
    ("DELETE", "subscriptions/*"): cancel_subscription,
}
KINDS = {
    "customers": "customer",
    "products": "product",
    "prices": "price",
    "coupons": "coupon",
    "checkout/sessions": "checkout.session",
    "subscriptions": "subscription",
    "invoices": "invoice",
    "invoice_payments": "invoice_payment",
    "payment_intents": "payment_intent",
    "payment_methods": "payment_method",
    "charges": "charge",
    "refunds": "refund",
    "disputes": "dispute",
    "events": "event",
}
