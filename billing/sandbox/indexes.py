"""What objects are looked up by, beside their id."""

from typing import Any, Final

GOING_ON: Final = ("active", "trialing", "past_due", "unpaid")
"""The statuses of subscriptions in which periods follow each other."""


def owner(found: dict[str, Any]) -> str | None:
    """Whose it is: an invoice's for what paid it, a customer's for most else."""
    whose: str | None = found.get("invoice" if found["object"] == "invoice_payment" else "customer")
    return whose


def due_at(found: dict[str, Any]) -> int | None:
    """When something happens to it by itself, in the sandbox's time; None: never."""
    kind, status = found["object"], found.get("status")
    moment: int | None = None
    if kind == "checkout.session" and status == "open":
        moment = found["_expires_at"]
    elif kind == "invoice" and status == "open":
        moment = found["next_payment_attempt"]
    elif kind == "subscription" and status in GOING_ON:
        ends: int = found["items"]["data"][0]["current_period_end"]
        moment = min(ends, found["cancel_at"] or ends)
    return moment
