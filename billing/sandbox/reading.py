"""Parameters as Stripe's clients write them, lists, and `expand`."""

import re
from typing import Any

from billing.sandbox.sandbox import Sandbox, shown
from billing.sandbox.store import Object

_OPERATORS = {
    "gte": lambda a, b: a >= b,
    "gt": lambda a, b: a > b,
    "lte": lambda a, b: a <= b,
    "lt": lambda a, b: a < b,
}
_EXPANDED = {
    "default_payment_method": "payment_method",
    "latest_invoice": "invoice",
    "payment_intent": "payment_intent",
    "latest_charge": "charge",
    "customer": "customer",
    "product": "product",
    "subscription": "subscription",
}


def nested(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """`a[0][b]=c` as {"a": [{"b": "c"}]}."""
    tree: dict[str, Any] = {}
    for name, value in pairs:
        keys = re.findall(r"[^\[\]]+|(?<=\[)(?=\])", name)
        at = tree
        for key in keys[:-1]:
            at = at.setdefault(key, {})
        last = keys[-1]
        at[last or str(len(at))] = value
    found: dict[str, Any] = _lists(tree)
    return found


def _lists(tree: Any) -> Any:
    if not isinstance(tree, dict):
        return tree
    if tree and all(key.isdigit() for key in tree):
        return [_lists(value) for value in tree.values()]
    return {key: _lists(value) for key, value in tree.items()}


def listed(sandbox: Sandbox, path: str, kind: str, params: dict[str, Any]) -> Object:
    """A page of the objects that match, newest first."""
    found = [one for one in sandbox.store.every(kind) if _matches(one, params)]
    ids = [one["id"] for one in found]
    limit = int(params.get("limit", 10))
    if params.get("ending_before") in ids:
        found = found[: ids.index(params["ending_before"])]
        page, more = found[-limit:], len(found) > limit
    else:
        begin = (
            ids.index(params["starting_after"]) + 1 if params.get("starting_after") in ids else 0
        )
        page, more = found[begin : begin + limit], len(found) > begin + limit
    data = [shown(one) for one in page]
    return {"object": "list", "data": data, "has_more": more, "url": f"/v1/{path}"}


def _matches(one: Object, params: dict[str, Any]) -> bool:
    for name, wanted in params.items():
        if name in ("limit", "starting_after", "ending_before", "expand"):
            continue
        if name == "created" and isinstance(wanted, dict):
            if not all(_OPERATORS[op](one["created"], int(at)) for op, at in wanted.items()):
                return False
        elif name in ("types", "lookup_keys"):
            if one.get(name[:-1]) not in wanted:
                return False
        elif name == "status" and one["object"] == "subscription" and wanted == "all":
            continue
        elif str(one.get(name)) not in (wanted, wanted.capitalize()):
            return False
    return True


def expand(sandbox: Sandbox, found: Any, path: list[str]) -> None:
    """Puts the object in place of its id, along the path."""
    if isinstance(found, list):
        for one in found:
            expand(sandbox, one, path)
    elif path and isinstance(found, dict) and path[0] in found:
        value = found[path[0]]
        if isinstance(value, str) and path[0] in _EXPANDED:
            other = sandbox.store.get(_EXPANDED[path[0]], value)
            found[path[0]] = value = shown(other) if other else value
        expand(sandbox, value, path[1:])
