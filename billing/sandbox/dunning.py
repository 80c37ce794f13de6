"""Collecting what a subscription owes: the first attempt, the retries, and giving up."""

from typing import Final

from billing.sandbox import invoices, subscriptions
from billing.sandbox.errors import ApiError
from billing.sandbox.sandbox import Sandbox
from billing.sandbox.store import Object

RETRY_DAYS: Final = (3, 5, 7, 14)
"""Days after an invoice fell due, about as Stripe's own retries come."""
AFTER_RETRIES: Final = ("cancel", "unpaid", "past_due")
"""What can become of a subscription when the last one has failed."""
_DAY: Final = 86400


def collect(sandbox: Sandbox, invoice: Object) -> None:
    """Charges the subscription's card because it is time to: when it falls due, and at retries."""
    subscription, now = _subscription(sandbox, invoice), sandbox.clock.now()
    due = invoice.setdefault("_due", now)
    again = next((due + day * _DAY for day in RETRY_DAYS if due + day * _DAY > now), None)
    refused = invoices.attempt(sandbox, invoice, _card_of(sandbox, subscription), again_at=again)
    if not refused:
        _recover(sandbox, invoice)
    elif again is not None:
        subscriptions.update(sandbox, subscription, status="past_due")
    else:
        _give_up(sandbox, subscription)


def pay(sandbox: Sandbox, invoice: Object, method_id: str | None = None) -> str:
    """Charges for an invoice because somebody asks for it.

    Why the bank refused; empty when it is paid.  When the next retry is due doesn't change.
    """
    if invoice["status"] == "draft":
        invoices.finalize(sandbox, invoice)
    if invoice["status"] != "open":
        raise ApiError(f"Invoice is already {invoice['status']}.", "", "invoice")
    method_id = method_id or _card_of(sandbox, _subscription(sandbox, invoice))
    again = invoice["next_payment_attempt"]
    refused = invoices.attempt(sandbox, invoice, method_id, again_at=again)
    if not refused:
        _recover(sandbox, invoice)
    return refused


def _recover(sandbox: Sandbox, invoice: Object) -> None:
    subscription = _subscription(sandbox, invoice)
    owed = subscription["status"] in ("past_due", "unpaid", "incomplete")
    if owed and subscription["latest_invoice"] == invoice["id"]:
        subscriptions.update(sandbox, subscription, status="active")


def _give_up(sandbox: Sandbox, subscription: Object) -> None:
    then = sandbox.store.setting("after_retries", "cancel")
    if then == "cancel":
        subscriptions.cancel(sandbox, subscription, "payment_failed")
    else:
        subscriptions.update(sandbox, subscription, status=then)


def _subscription(sandbox: Sandbox, invoice: Object) -> Object:
    return sandbox.need("subscription", invoices.subscription_of(invoice))


def _card_of(sandbox: Sandbox, subscription: Object) -> str | None:
    """The subscription's card, else its customer's."""
    customer = sandbox.need("customer", subscription["customer"])
    own: str | None = subscription["default_payment_method"]
    default: str | None = customer["invoice_settings"]["default_payment_method"]
    return own or default
