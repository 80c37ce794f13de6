"""The calls of the API: parameters in, an object out.

A call reads its parameters, changes things by the engine's functions, and returns what Stripe
would show.  Its transaction is undone when it raises, so it may refuse at any point.
"""

from billing.sandbox.calls import catalogue, customers, portal, selling, subscriptions
from billing.sandbox.calls.call import Call

CALLS: dict[tuple[str, str], Call] = {
    **catalogue.CALLS,
    **customers.CALLS,
    **selling.CALLS,
    **subscriptions.CALLS,
    **portal.CALLS,
}
"""By method and path; a star stands for the object's id."""


def find(method: str, path: str) -> tuple[Call, str] | None:
    """The call, and the id in its path."""
    parts = path.split("/")
    for at, part in enumerate(parts):
        pattern = "/".join([*parts[:at], "*", *parts[at + 1 :]])
        if part and (method, pattern) in CALLS:
            return CALLS[method, pattern], part
    found = CALLS.get((method, path))
    return (found, "") if found else None
