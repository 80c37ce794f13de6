"""What falls due as the sandbox's time passes: expiries, endings, renewals, retries."""

from billing.sandbox import checkout, dunning, plans, subscriptions
from billing.sandbox.sandbox import Sandbox
from billing.sandbox.store import Object


def catch_up(sandbox: Sandbox) -> None:
    """Does everything that is due by now, in its order, each as of its own moment."""
    until = sandbox.clock.now()
    while due := sandbox.store.first_due(until):
        found, moment = due
        with sandbox.clock.at(moment):
            _act(sandbox, found, moment)


def _act(sandbox: Sandbox, found: Object, moment: int) -> None:
    if found["object"] == "checkout.session":
        checkout.expire(sandbox, found)
    elif found["object"] == "invoice":
        dunning.collect(sandbox, found)
    elif found["cancel_at"] is not None and found["cancel_at"] <= moment:
        subscriptions.cancel(sandbox, found, "cancellation_requested")
    else:
        plans.renew(sandbox, found)
