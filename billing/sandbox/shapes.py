"""Stripe's objects as it shows them, in API 2026-10-28.endive.

Keys that begin with an underscore are the sandbox's own and are never shown.
"""

from dataclasses import dataclass
from typing import Any, Final

from billing.sandbox.clock import after
from billing.sandbox.store import Object, new_id

API_VERSION: Final = "2026-10-28.endive"


@dataclass(frozen=True)
class Line:
    """A line of an invoice, in cents."""

    description: str
    cents: int
    discount: int = 0
    """What is taken off it."""
    proration: bool = False


def made(kind: str, prefix: str, now: int, **values: Any) -> Object:
    """A new object with what every one has."""
    return {
        "id": new_id(prefix),
        "object": kind,
        "created": now,
        "livemode": False,
        "metadata": {},
    } | values


def list_of(data: list[Object], url: str, *, has_more: bool = False) -> Object:
    """A page of a list."""
    return {"object": "list", "data": data, "has_more": has_more, "url": url}


def item(price: Object, now: int) -> Object:
    """A subscription's item whose first period begins now."""
    recurring = price["recurring"]
    return made(
        "subscription_item",
        "si",
        now,
        price=price,
        quantity=1,
        discounts=[],
        tax_rates=[],
        current_period_start=now,
        current_period_end=after(now, recurring["interval"], recurring["interval_count"]),
    )


def subscription(customer: str, price: Object, method: str, now: int) -> Object:
    """A subscription that begins now."""
    found = made(
        "subscription",
        "sub",
        now,
        customer=customer,
        status="active",
        currency=price["currency"],
        start_date=now,
        billing_cycle_anchor=now,
        cancel_at=None,
        cancel_at_period_end=False,
        canceled_at=None,
        cancellation_details={"comment": None, "feedback": None, "reason": None},
        ended_at=None,
        collection_method="charge_automatically",
        automatic_tax={"enabled": False, "liability": None},
        default_payment_method=method,
        discounts=[],
        latest_invoice=None,
        pause_collection=None,
        pending_update=None,
        schedule=None,
        trial_start=None,
        trial_end=None,
    )
    found["items"] = list_of(
        [item(price, now)], f"/v1/subscription_items?subscription={found['id']}"
    )
    found["items"]["data"][0]["subscription"] = found["id"]
    return found


def invoice(owner: Object, lines: list[Line], reason: str, number: str, now: int) -> Object:
    """A draft of a subscription's invoice."""
    subtotal = sum(line.cents for line in lines)
    total = subtotal - sum(line.discount for line in lines)
    first = owner["items"]["data"][0]
    period = {"start": first["current_period_start"], "end": first["current_period_end"]}
    found = made("invoice", "in", now, customer=owner["customer"], currency=owner["currency"])
    found |= {"status": "draft", "billing_reason": reason, "number": number, "description": None}
    found |= {"collection_method": "charge_automatically", "auto_advance": True}
    found |= {"automatic_tax": {"enabled": False, "status": None}, "discounts": []}
    found |= {"subtotal": subtotal, "total": total, "total_taxes": []}
    found |= {"amount_due": total, "amount_paid": 0, "amount_remaining": total}
    found |= {"amount_overpaid": 0, "starting_balance": 0, "ending_balance": None}
    found |= {"attempted": False, "attempt_count": 0, "next_payment_attempt": None}
    found |= {"period_start": period["start"], "period_end": period["end"], "due_date": None}
    found |= {"hosted_invoice_url": None, "invoice_pdf": None}
    found["total_discount_amounts"] = [{"amount": one.discount} for one in lines if one.discount]
    found["status_transitions"] = dict.fromkeys(
        ("finalized_at", "marked_uncollectible_at", "paid_at", "voided_at")
    )
    found["lines"] = list_of(
        [_line(one, period, owner, now) for one in lines], f"/v1/invoices/{found['id']}/lines"
    )
    found["parent"] = {
        "type": "subscription_details",
        "quote_details": None,
        "subscription_details": {"subscription": owner["id"], "metadata": owner["metadata"]},
    }
    return found


def _line(line: Line, period: Object, owner: Object, now: int) -> Object:
    found = made("line_item", "il", now, amount=line.cents, description=line.description)
    found |= {"currency": owner["currency"], "quantity": 1, "period": period, "discountable": True}
    found |= {"discount_amounts": [{"amount": line.discount}] if line.discount else []}
    details = {
        "subscription": owner["id"],
        "subscription_item": owner["items"]["data"][0]["id"],
        "proration": line.proration,
    }
    found["parent"] = {
        "type": "subscription_item_details",
        "subscription_item_details": details,
    }
    return found
