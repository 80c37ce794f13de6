"""Changing a subscription's plan, and its renewals."""

from copy import deepcopy
from dataclasses import asdict

from billing.sandbox import dunning, invoices, prorations, subscriptions
from billing.sandbox.clock import after
from billing.sandbox.sandbox import Sandbox
from billing.sandbox.shapes import Line
from billing.sandbox.store import Object


def change(sandbox: Sandbox, subscription: Object, price: Object, proration: str) -> Object:
    """Puts the subscription on another price.

    `proration`: Stripe's create_prorations (on the next invoice), always_invoice (now) or none.
    A change to another interval is invoiced now in any case.
    """
    if subscription["items"]["data"][0]["price"]["id"] == price["id"]:
        return subscription
    changed = prorations.change(subscription, price, sandbox.clock.now())
    lines = list(changed.lines)
    if proration == "none":
        lines = lines[1:] if changed.resets else []
    now = changed.resets or proration == "always_invoice"
    items = deepcopy(subscription["items"])
    items["data"][0] |= {"price": price, "current_period_start": changed.begins}
    items["data"][0]["current_period_end"] = changed.ends
    changes = {"items": items}
    if changed.resets:
        changes["billing_cycle_anchor"] = changed.begins
    if subscription["cancel_at_period_end"]:
        changes["cancel_at"] = changed.ends
    subscription["_period_cents"] = price["unit_amount"]
    if lines and not now:
        subscription["_pending"] += [asdict(line) for line in lines]
    subscriptions.update(sandbox, subscription, **changes)
    if lines and now:
        _invoice(sandbox, subscription, lines, "subscription_update")
    return sandbox.need("subscription", subscription["id"])


def due_now(sandbox: Sandbox, subscription: Object, price: Object) -> tuple[prorations.Change, int]:
    """What a change that is invoiced now would be, and cents to pay after the balance."""
    changed = prorations.change(subscription, price, sandbox.clock.now())
    balance = sandbox.need("customer", subscription["customer"])["balance"]
    return changed, max(0, changed.cents + balance)


def renew(sandbox: Sandbox, subscription: Object) -> None:
    """The next period, and its invoice."""
    items = deepcopy(subscription["items"])
    item = items["data"][0]
    price, begin = item["price"], item["current_period_end"]
    item["current_period_start"] = begin
    item["current_period_end"] = _next_end(subscription, begin)
    lines = [Line(**one) for one in subscription["_pending"]]
    lines.append(Line(sandbox.need("product", price["product"])["name"], price["unit_amount"]))
    subscription |= {"_pending": [], "_period_cents": price["unit_amount"]}
    status = "active" if subscription["status"] == "trialing" else subscription["status"]
    subscriptions.update(sandbox, subscription, items=items, status=status)
    _invoice(sandbox, subscription, lines, "subscription_cycle")


def _next_end(subscription: Object, begin: int) -> int:
    recurring = subscription["items"]["data"][0]["price"]["recurring"]
    step = count = recurring["interval_count"]
    anchor = subscription["billing_cycle_anchor"]
    while (ends := after(anchor, recurring["interval"], count)) <= begin:
        count += step
    return ends


def _invoice(sandbox: Sandbox, subscription: Object, lines: list[Line], reason: str) -> None:
    """Invoices at once; where nobody pays any more, the invoice stays a draft, as at Stripe."""
    invoice = invoices.draft(sandbox, subscription, lines, reason)
    subscription["latest_invoice"] = invoice["id"]
    sandbox.store.put(subscription)
    if subscription["status"] != "unpaid":
        dunning.collect(sandbox, invoices.finalize(sandbox, invoice))
