"""Checkout sessions and refunds."""

import time
from typing import Final

from billing.sandbox import checkout, discounts, invoices, shapes
from billing.sandbox.calls.call import Call, texts
from billing.sandbox.errors import ApiError, missing
from billing.sandbox.params import LATEST, Params
from billing.sandbox.sandbox import Sandbox
from billing.sandbox.store import Object

_SHORTEST: Final = 30 * 60
_LONGEST: Final = 24 * 3600
_LEEWAY: Final = 60  # the caller's clock, and the way here


def create_session(sandbox: Sandbox, params: Params, _: str) -> Object:
    """A page on which one subscription can be paid."""
    customer = sandbox.need("customer", params.text("customer"), "customer")
    if params.choice("mode", "subscription") is None:
        raise ApiError("Missing required param: mode.", "parameter_missing", "mode")
    price = _price(sandbox, params)
    coupon = _coupon(sandbox, params, price)
    ends = _ends(params.optional_whole("expires_at", high=LATEST))
    found = shapes.made("checkout.session", "cs_test", sandbox.clock.now(), mode="subscription")
    found |= {"customer": customer["id"], "client_reference_id": None}
    found |= {"customer_details": {"email": customer["email"]}, "currency": price["currency"]}
    found |= {"success_url": params.address("success_url"), "cancel_url": None}
    if "cancel_url" in params:
        found["cancel_url"] = params.address("cancel_url")
    found |= {"status": "open", "payment_status": "unpaid", "subscription": None, "invoice": None}
    off = discounts.off(price["unit_amount"], coupon)
    found |= {"amount_subtotal": price["unit_amount"], "amount_total": price["unit_amount"] - off}
    found["total_details"] = {"amount_discount": off, "amount_shipping": 0, "amount_tax": 0}
    found["discounts"] = [{"coupon": coupon["id"], "promotion_code": None}] if coupon else []
    found |= {"automatic_tax": {"enabled": False}, "payment_method_types": ["card"]}
    found |= texts(params, "client_reference_id") | {"metadata": params.metadata()}
    # The caller counts in real time; the page closes when the sandbox's own clock is there.
    found |= {"expires_at": ends, "_expires_at": int(ends + sandbox.clock.offset)}
    found |= {"_price": price["id"], "_coupon": coupon, "_method": None}
    found["_subscription_metadata"] = params.group("subscription_data").metadata()
    found["url"] = f"{sandbox.base}/c/pay/{found['id']}"
    params.ignore("automatic_tax", "billing_address_collection", "customer_update", "locale")
    params.ignore("payment_method_collection", "submit_type", "ui_mode")
    if params.texts("allowed_payment_method_types") not in ([], ["card"]):
        raise ApiError("Only cards are taken here.", "", "allowed_payment_method_types")
    return sandbox.store.put(found)


def expire_session(sandbox: Sandbox, _: Params, session_id: str) -> Object:
    """Closes its page."""
    found = checkout.session(sandbox, session_id)
    if found is None:
        raise missing("checkout.session", session_id, "session")
    if found["status"] != "open":
        raise ApiError("Only Checkout Sessions with a status of open can be expired.", "", "status")
    checkout.expire(sandbox, found)
    return found


def create_refund(sandbox: Sandbox, params: Params, _: str) -> Object:
    """Gives back what is left of a payment, or a part of it."""
    charge_id = params.optional("charge")
    if charge_id is None:
        intent = sandbox.need("payment_intent", params.text("payment_intent"), "payment_intent")
        charge_id = str(intent["latest_charge"])
    charge = sandbox.need("charge", charge_id, "charge")
    left = charge["amount"] - charge["amount_refunded"] if charge["paid"] else 0
    cents = params.optional_whole("amount", 1)
    if left == 0:
        raise ApiError("Charge has already been refunded.", "charge_already_refunded")
    if cents and cents > left:
        raise ApiError(f"Refund amount is greater than the {left} cents left.", "", "amount")
    params.ignore("reason")
    return invoices.refund(sandbox, charge, cents or left, params.metadata())


def _price(sandbox: Sandbox, params: Params) -> Object:
    lines = params.groups("line_items")
    if len(lines) != 1:
        raise ApiError("Exactly one line item is sold here.", "parameter_missing", "line_items")
    price = sandbox.need("price", lines[0].text("price"), "line_items[0][price]")
    if lines[0].optional_whole("quantity", 1) not in (None, 1):
        raise ApiError("Only one of it is sold.", "parameter_invalid", "line_items[0][quantity]")
    if not price["active"]:
        raise ApiError("The price specified is inactive.", "", "line_items[0][price]")
    return price


def _coupon(sandbox: Sandbox, params: Params, price: Object) -> Object | None:
    offered = params.groups("discounts")
    if not offered:
        return None
    if len(offered) > 1:
        raise ApiError("Only one discount can be applied.", "", "discounts")
    coupon = sandbox.need("coupon", offered[0].text("coupon"), "discounts[0][coupon]")
    if coupon["_products"] and price["product"] not in coupon["_products"]:
        raise ApiError("The coupon does not apply to anything in it.", "", "discounts[0][coupon]")
    return coupon


def _ends(given: int | None) -> int:
    """When a session ends, by real time."""
    now = int(time.time())
    ends = now + _LONGEST if given is None else given
    if not now + _SHORTEST - _LEEWAY <= ends <= now + _LONGEST + _LEEWAY:
        raise ApiError(
            "The `expires_at` timestamp must be from 30 minutes to 24 hours ahead.",
            "parameter_invalid",
            "expires_at",
        )
    return ends


CALLS: dict[tuple[str, str], Call] = {
    ("POST", "checkout/sessions"): create_session,
    ("POST", "checkout/sessions/*/expire"): expire_session,
    ("POST", "refunds"): create_refund,
}
