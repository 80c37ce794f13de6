"""Stripe's objects as it shows them, in API 2026-10-28.endive."""

from typing import Any

from billing.sandbox.clock import after
from billing.sandbox.store import Object, new_id

API_VERSION = "2026-10-28.endive"


def made(kind: str, prefix: str, now: int, **values: Any) -> Object:
    """A new object with what every one has."""
    return {
        "id": new_id(prefix),
        "object": kind,
        "created": now,
        "livemode": False,
        "metadata": {},
    } | values


def subscription(session: Object, price: Object, method: str, now: int) -> Object:
    """A subscription that begins now."""
    recurring = price["recurring"]
    item = made(
        "subscription_item",
        "si",
        now,
        price=price,
        quantity=1,
        current_period_start=now,
        current_period_end=after(now, recurring["interval"], recurring["interval_count"]),
    )
    return made(
        "subscription",
        "sub",
        now,
        customer=session["customer"],
        status="active",
        currency=price["currency"],
        billing_cycle_anchor=now,
        cancel_at=None,
        cancel_at_period_end=False,
        canceled_at=None,
        ended_at=None,
        collection_method="charge_automatically",
        default_payment_method=method,
        discounts=[],
        latest_invoice=None,
        trial_end=None,
        metadata=session["subscription_metadata"],
        items={
            "object": "list",
            "data": [item],
            "has_more": False,
            "url": "/v1/subscription_items",
        },
    )


def invoice(owner: Object, subtotal: int, total: int, reason: str, now: int) -> Object:
    """An open invoice of a subscription."""
    item = owner["items"]["data"][0]
    return made(
        "invoice",
        "in",
        now,
        customer=owner["customer"],
        currency=owner["currency"],
        status="open",
        billing_reason=reason,
        subtotal=subtotal,
        total=total,
        amount_due=total,
        amount_paid=0,
        amount_remaining=total,
        attempt_count=0,
        attempted=False,
        next_payment_attempt=None,
        period_start=item["current_period_start"],
        period_end=item["current_period_end"],
        parent={
            "type": "subscription_details",
            "subscription_details": {"subscription": owner["id"], "metadata": owner["metadata"]},
        },
    )
