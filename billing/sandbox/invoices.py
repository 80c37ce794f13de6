"""Invoices and the money behind them: balance, charges, refunds."""

from billing.sandbox import cards, shapes
from billing.sandbox.errors import ApiError
from billing.sandbox.sandbox import Sandbox
from billing.sandbox.shapes import Line
from billing.sandbox.store import Object


def draft(sandbox: Sandbox, subscription: Object, lines: list[Line], reason: str) -> Object:
    """An invoice that nobody has to pay yet."""
    number = sandbox.store.setting("invoices", 0) + 1
    sandbox.store.set_setting("invoices", number)
    found = shapes.invoice(
        subscription, lines, reason, f"SANDBOX-{number:04d}", sandbox.clock.now()
    )
    return sandbox.save("invoice.created", found)


def finalize(sandbox: Sandbox, invoice: Object) -> Object:
    """Takes the customer's balance into account: from now on what is left is owed."""
    customer = sandbox.need("customer", invoice["customer"])
    owed = invoice["total"] + customer["balance"]
    due, left = max(0, owed), min(0, owed)
    invoice |= {"status": "open", "amount_due": due, "amount_remaining": due}
    invoice |= {"starting_balance": customer["balance"], "ending_balance": left}
    invoice["status_transitions"]["finalized_at"] = sandbox.clock.now()
    if left != customer["balance"]:
        before = {"balance": customer["balance"]}
        sandbox.save("customer.updated", customer | {"balance": left}, before)
    return sandbox.save("invoice.finalized", invoice)


def attempt(
    sandbox: Sandbox,
    invoice: Object,
    method_id: str | None,
    *,
    renewal: bool = True,
    again_at: int | None = None,
) -> str:
    """Charges what is due.  Why the bank refused it; empty when the invoice is paid now.

    `renewal`: nobody sits in front of it.  `again_at`: when the next attempt will be, if this
    one fails.
    """
    method = sandbox.store.get("payment_method", method_id) if method_id else None
    refused = ""
    if invoice["amount_due"]:
        behaves = method["_behaviour"] if method else ""
        refused = cards.bank_says(behaves, renewal=renewal)
        refused = refused if method else "There is no card to charge."
        _charge(sandbox, invoice, method, refused)
        invoice |= {"attempted": True, "attempt_count": invoice["attempt_count"] + 1}
    if refused:
        invoice["next_payment_attempt"] = again_at
        sandbox.save("invoice.payment_failed", invoice)
        return refused
    invoice |= {"status": "paid", "amount_paid": invoice["amount_due"], "amount_remaining": 0}
    invoice |= {"attempted": True, "next_payment_attempt": None}
    invoice["status_transitions"]["paid_at"] = sandbox.clock.now()
    sandbox.save("invoice.paid", invoice)
    sandbox.emit("invoice.payment_succeeded", invoice)
    return ""


def void(sandbox: Sandbox, invoice: Object) -> Object:
    """Nobody has to pay it any more."""
    if invoice["status"] != "open":
        raise ApiError("You can only void open invoices.", "", "invoice")
    invoice |= {"status": "void", "next_payment_attempt": None, "auto_advance": False}
    invoice["status_transitions"]["voided_at"] = sandbox.clock.now()
    return sandbox.save("invoice.voided", invoice)


def of_subscription(sandbox: Sandbox, subscription: Object, *statuses: str) -> list[Object]:
    """A subscription's invoices with these statuses, newest first."""
    return [
        one
        for one in sandbox.store.every("invoice", owner=subscription["customer"])
        if one["status"] in statuses and subscription_of(one) == subscription["id"]
    ]


def subscription_of(invoice: Object) -> str:
    """The id of what an invoice is about."""
    found: str = invoice["parent"]["subscription_details"]["subscription"]
    return found


def refund(sandbox: Sandbox, charge: Object, cents: int, metadata: dict[str, str]) -> Object:
    """Gives back a part or all of a charge."""
    now = sandbox.clock.now()
    found = shapes.made("refund", "re", now, amount=cents, status="succeeded", metadata=metadata)
    found |= {"charge": charge["id"], "payment_intent": charge["payment_intent"]}
    found |= {"currency": charge["currency"], "reason": None, "_customer": charge["customer"]}
    before = {key: charge[key] for key in ("amount_refunded", "refunded")}
    charge["amount_refunded"] += cents
    charge["refunded"] = charge["amount_refunded"] == charge["amount"]
    sandbox.save("refund.created", found)
    sandbox.save("charge.refunded", charge, before)
    return found


def _charge(sandbox: Sandbox, invoice: Object, method: Object | None, refused: str) -> None:
    """A charge for the invoice's one payment intent, and what became of both."""
    now, cents = sandbox.clock.now(), invoice["amount_due"]
    intent, payment = _intent(sandbox, invoice)
    charge = shapes.made("charge", "ch", now, amount=cents, currency=invoice["currency"])
    charge |= {"customer": invoice["customer"], "payment_intent": intent["id"]}
    charge |= {"status": "failed" if refused else "succeeded", "paid": not refused}
    charge |= {"payment_method": method["id"] if method else None, "captured": not refused}
    charge |= {"amount_refunded": 0, "refunded": False, "disputed": False}
    charge |= {"failure_message": refused or None}
    charge["failure_code"] = "card_declined" if refused else None
    intent |= {"payment_method": charge["payment_method"], "latest_charge": charge["id"]}
    if refused:
        intent |= {"status": "requires_payment_method"}
        intent["last_payment_error"] = {"type": "card_error", "message": refused}
        sandbox.save("charge.failed", charge)
        sandbox.save("payment_intent.payment_failed", intent)
        return
    intent |= {"status": "succeeded", "amount_received": cents, "last_payment_error": None}
    payment |= {"status": "paid", "amount_paid": cents}
    payment["status_transitions"] = {"canceled_at": None, "paid_at": now}
    sandbox.save("charge.succeeded", charge)
    sandbox.save("payment_intent.succeeded", intent)
    sandbox.save("invoice_payment.paid", payment)


def _intent(sandbox: Sandbox, invoice: Object) -> tuple[Object, Object]:
    """The invoice's payment intent, made where it has none yet, and what ties the two."""
    now, cents = sandbox.clock.now(), invoice["amount_due"]
    if "_payment" in invoice:
        payment = sandbox.need("invoice_payment", invoice["_payment"])
        return sandbox.need("payment_intent", payment["payment"]["payment_intent"]), payment
    intent = shapes.made("payment_intent", "pi", now, amount=cents, amount_received=0)
    intent |= {"customer": invoice["customer"], "currency": invoice["currency"]}
    intent |= {"latest_charge": None, "last_payment_error": None}
    intent |= {"status": "requires_payment_method", "payment_method": None}
    payment = shapes.made("invoice_payment", "inpay", now, status="open", amount_paid=None)
    payment |= {"amount_requested": cents, "currency": invoice["currency"], "is_default": True}
    payment |= {"payment": {"type": "payment_intent", "payment_intent": intent["id"]}}
    payment |= {"invoice": invoice["id"]}
    invoice["_payment"] = payment["id"]
    sandbox.save("payment_intent.created", intent)
    return intent, sandbox.store.put(payment)
