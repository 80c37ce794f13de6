"""What every call is."""

from collections.abc import Callable

from billing.sandbox.params import Params
from billing.sandbox.sandbox import Sandbox
from billing.sandbox.store import Object

Call = Callable[[Sandbox, Params, str], Object]
"""The third argument is the id in the path."""


def texts(params: Params, *names: str) -> Object:
    """Those of these texts that are given; an empty one as None."""
    return {name: params.optional(name) for name in names if name in params}
