"""What falls due as the sandbox's time passes: endings, renewals, expiries."""

from billing.sandbox import cards, shapes
from billing.sandbox.clock import after
from billing.sandbox.sandbox import Sandbox
from billing.sandbox.store import Object


def advance(sandbox: Sandbox, seconds: int) -> None:
    """Moves the clock, stopping at each period's end on the way, in order."""
    until = sandbox.clock.now() + seconds
    while due := _due(sandbox, until):
        sandbox.clock.set_to(max(_ends(due), sandbox.clock.now()))
        if due["cancel_at_period_end"]:
            sandbox.cancel(due)
        else:
            _renew(sandbox, due)
    sandbox.clock.set_to(until)
    for session in sandbox.store.every("checkout.session"):
        sandbox.session(session["id"])


def _ends(subscription: Object) -> int:
    return int(subscription["items"]["data"][0]["current_period_end"])


def _due(sandbox: Sandbox, until: int) -> Object | None:
    going_on = [
        one
        for one in sandbox.store.every("subscription")
        if one["status"] in ("active", "past_due") and _ends(one) <= until
    ]
    return min(going_on, key=_ends, default=None)


def _renew(sandbox: Sandbox, subscription: Object) -> None:
    """The next period and its invoice; past_due where the card is declined, and then canceled."""
    if subscription["status"] == "past_due":
        sandbox.cancel(subscription)
        return
    item = subscription["items"]["data"][0]
    recurring, begin = item["price"]["recurring"], item["current_period_end"]
    anchor, count = subscription["billing_cycle_anchor"], 1
    while after(anchor, recurring["interval"], count) <= begin:
        count += 1
    item["current_period_start"] = begin
    item["current_period_end"] = after(anchor, recurring["interval"], count)
    cents, now = item["price"]["unit_amount"], sandbox.clock.now()
    invoice = shapes.invoice(subscription, cents, cents, "subscription_cycle", now)
    customer = sandbox.need("customer", subscription["customer"])
    credit = min(cents, max(0, -int(customer["balance"])))
    sandbox.store.put(customer | {"balance": int(customer["balance"]) + credit})
    invoice["amount_due"] = invoice["amount_remaining"] = cents - credit
    method = sandbox.need("payment_method", subscription["default_payment_method"])
    subscription["latest_invoice"] = invoice["id"]
    if invoice["amount_due"] and cards.refusal(method["behaviour"], renewal=True):
        subscription["status"] = "past_due"
        invoice |= {"attempted": True, "attempt_count": 1}
        sandbox.emit("invoice.payment_failed", sandbox.store.put(invoice))
    else:
        sandbox.take(invoice, method)
    sandbox.emit("customer.subscription.updated", sandbox.store.put(subscription))
