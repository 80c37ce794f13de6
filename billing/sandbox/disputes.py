"""Disputes: a cardholder takes a payment back, and the bank decides."""

from typing import Final

from billing.sandbox import shapes
from billing.sandbox.errors import ApiError
from billing.sandbox.sandbox import Sandbox
from billing.sandbox.store import Object

STATUSES: Final = ("needs_response", "won", "lost")


def dispute(sandbox: Sandbox, charge: Object, status: str) -> Object:
    """Opens a charge's dispute, or decides it; one that is decided stays so."""
    disputes = sandbox.store.every("dispute")
    found = next((one for one in disputes if one["charge"] == charge["id"]), None)
    found = found or _opened(sandbox, charge)
    if found["status"] != "needs_response":
        raise ApiError(f"The dispute has been {found['status']}.", "", "status")
    if status == "needs_response":
        return found
    found["status"] = status
    return sandbox.save("charge.dispute.closed", found, {"status": "needs_response"})


def _opened(sandbox: Sandbox, charge: Object) -> Object:
    if not charge["paid"]:
        raise ApiError("Only a paid charge can be disputed.", "", "charge")
    found = shapes.made("dispute", "dp", sandbox.clock.now(), amount=charge["amount"])
    found |= {"charge": charge["id"], "payment_intent": charge["payment_intent"]}
    found |= {"currency": charge["currency"], "reason": "fraudulent"}
    found |= {"status": "needs_response", "balance_transactions": []}
    found |= {"is_charge_refundable": False, "_customer": charge["customer"]}
    sandbox.store.put(charge | {"disputed": True})
    return sandbox.save("charge.dispute.created", found)
