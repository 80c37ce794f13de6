"""A subscription's state: what it is changed to, and how it ends."""

from typing import Any, Final

from billing.sandbox import invoices
from billing.sandbox.sandbox import Sandbox
from billing.sandbox.store import Object

ENDED: Final = ("canceled", "incomplete_expired")


def update(sandbox: Sandbox, subscription: Object, **changes: Any) -> Object:
    """Writes what changes; an event says so, if anything does."""
    before = {key: subscription[key] for key in changes if subscription[key] != changes[key]}
    subscription |= changes
    if not before:
        return sandbox.store.put(subscription)
    return sandbox.save("customer.subscription.updated", subscription, before)


def cancel(sandbox: Sandbox, subscription: Object, reason: str) -> Object:
    """Ends it at once; what is owed stays owed, and is not asked for any more."""
    before, now = subscription["status"], sandbox.clock.now()
    _stop_asking(sandbox, subscription)
    subscription |= {"status": "canceled", "ended_at": now}
    subscription["canceled_at"] = subscription["canceled_at"] or now
    subscription["cancellation_details"] |= {"reason": reason}
    return sandbox.save("customer.subscription.deleted", subscription, {"status": before})


def end_with_its_period(sandbox: Sandbox, subscription: Object, *, wanted: bool) -> Object:
    """Lets it end with its period, or go on."""
    if wanted == subscription["cancel_at_period_end"] and (wanted or not subscription["cancel_at"]):
        return subscription
    return _end(sandbox, subscription, period_end(subscription) if wanted else None, wanted)


def end_at(sandbox: Sandbox, subscription: Object, moment: int | None) -> Object:
    """Lets it end at a moment of its own; None: go on."""
    return _end(sandbox, subscription, moment, False)


def period_end(subscription: Object) -> int:
    """When the current period ends."""
    return int(subscription["items"]["data"][0]["current_period_end"])


def set_status(sandbox: Sandbox, subscription: Object, status: str) -> Object:
    """Puts it into a status that no card leads to here; for tests."""
    if status == "canceled":
        return cancel(sandbox, subscription, "cancellation_requested")
    if status in ENDED:
        _stop_asking(sandbox, subscription)
    before = {"status": subscription["status"]}
    subscription["status"] = status
    if status == "trialing":
        subscription |= {"trial_start": sandbox.clock.now()}
        subscription |= {"trial_end": period_end(subscription)}
    event = "paused" if status == "paused" else "updated"
    return sandbox.save(f"customer.subscription.{event}", subscription, before)


def _stop_asking(sandbox: Sandbox, subscription: Object) -> None:
    """What is owed stays owed, and no retry comes any more."""
    for invoice in invoices.of_subscription(sandbox, subscription, "open"):
        sandbox.store.put(invoice | {"next_payment_attempt": None, "auto_advance": False})


def _end(sandbox: Sandbox, found: Object, moment: int | None, at_period_end: bool) -> Object:
    asked = None if moment is None else sandbox.clock.now()
    reason = None if moment is None else "cancellation_requested"
    return update(
        sandbox,
        found,
        cancel_at=moment,
        cancel_at_period_end=at_period_end,
        canceled_at=asked,
        cancellation_details=found["cancellation_details"] | {"reason": reason},
    )
