"""What falls due as the sandbox's time passes: expiries, endings, renewals, retries."""

from collections.abc import Callable, Iterator
from functools import partial

from billing.sandbox import checkout, dunning, plans, subscriptions
from billing.sandbox.sandbox import Sandbox

Due = tuple[int, Callable[[], object]]


def catch_up(sandbox: Sandbox) -> None:
    """Does everything that is due by now, in its order, each as of its own moment."""
    until = sandbox.clock.now()
    while due := min(_due_by(sandbox, until), key=lambda one: one[0], default=None):
        moment, act = due
        with sandbox.clock.at(moment):
            act()


def _due_by(sandbox: Sandbox, until: int) -> Iterator[Due]:
    return (due for due in _to_come(sandbox) if due[0] <= until)


def _to_come(sandbox: Sandbox) -> Iterator[Due]:
    """The next thing that happens to each object, and when.  At one moment, ends come first."""
    store = sandbox.store
    for session in store.every("checkout.session", "open"):
        yield session["_expires_at"], partial(checkout.expire, sandbox, session)
    for one in store.every("subscription", *subscriptions.GOING_ON):
        if one["cancel_at"] is not None:
            reason = "cancellation_requested"
            yield one["cancel_at"], partial(subscriptions.cancel, sandbox, one, reason)
        yield subscriptions.period_end(one), partial(plans.renew, sandbox, one)
    for invoice in store.every("invoice", "open"):
        if invoice["next_payment_attempt"] is not None:
            yield invoice["next_payment_attempt"], partial(dunning.collect, sandbox, invoice)
