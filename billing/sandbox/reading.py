"""Single objects, lists of them, and `expand`."""

from collections.abc import Callable, Iterator
from typing import Any, Final

from billing.sandbox import checkout, invoices, shapes
from billing.sandbox.errors import ApiError, missing
from billing.sandbox.params import LATEST, Params
from billing.sandbox.sandbox import Sandbox, shown
from billing.sandbox.store import Object

Fits = Callable[[Object], bool]

KINDS: Final = {
    "customers": "customer",
    "products": "product",
    "prices": "price",
    "coupons": "coupon",
    "checkout/sessions": "checkout.session",
    "subscriptions": "subscription",
    "invoices": "invoice",
    "invoice_payments": "invoice_payment",
    "payment_intents": "payment_intent",
    "payment_methods": "payment_method",
    "charges": "charge",
    "refunds": "refund",
    "disputes": "dispute",
    "events": "event",
    "billing_portal/configurations": "billing_portal.configuration",
}
_FILTERS: Final[dict[str, tuple[str, ...]]] = {
    "customer": ("email",),
    "price": ("product", "currency", "type"),
    "checkout.session": ("status", "subscription"),
    "invoice": ("status", "collection_method"),
    "invoice_payment": ("status",),
    "payment_method": ("type",),
    "charge": ("payment_intent",),
    "refund": ("charge", "payment_intent"),
    "dispute": ("charge", "payment_intent"),
    "event": ("type",),
}
"""By which texts a list can be narrowed, beside its objects' owner."""
_OWNERS: Final = {
    "charge": "customer",
    "checkout.session": "customer",
    "invoice": "customer",
    "invoice_payment": "invoice",
    "payment_intent": "customer",
    "payment_method": "customer",
    "subscription": "customer",
}
_FLAGS: Final[dict[str, tuple[str, ...]]] = {
    "product": ("active",),
    "price": ("active",),
    "billing_portal.configuration": ("active", "is_default"),
}
_EXPANDED: Final = {
    "charge": "charge",
    "customer": "customer",
    "default_payment_method": "payment_method",
    "invoice": "invoice",
    "latest_charge": "charge",
    "latest_invoice": "invoice",
    "payment_intent": "payment_intent",
    "payment_method": "payment_method",
    "product": "product",
    "subscription": "subscription",
}
_UNDATED: Final = ("billing_portal.configuration", "payment_method")
"""Whose lists can't be narrowed by when their objects were created."""
_COMPARISONS: Final[dict[str, Callable[[int, int], bool]]] = {
    "gt": lambda a, b: a > b,
    "lte": lambda a, b: a <= b,
    "lt": lambda a, b: a < b,
}


def retrieved(sandbox: Sandbox, kind: str, object_id: str) -> Object:
    """One object; of a deleted one only that it is."""
    if kind == "checkout.session":
        checkout.session(sandbox, object_id)  # it may have to expire first
    found = sandbox.store.get(kind, object_id)
    if found is None:
        raise missing(kind, object_id)
    return shown(found)


def listed(sandbox: Sandbox, path: str, params: Params) -> Object:
    """A page of the objects that fit, newest first."""
    kind = KINDS[path]
    owner = params.optional(_OWNERS[kind]) if kind in _OWNERS else None
    created = params.group("created") if kind not in _UNDATED else Params({})
    since = created.optional_whole("gte", high=LATEST) or 0
    fits = [*_fits(sandbox, kind, params), *_created(created)]
    found = [
        one
        for one in sandbox.store.every(kind, owner=owner or "", since=since)
        if not one.get("deleted") and all(fit(one) for fit in fits)
    ]
    return page(kind, found, f"/v1/{path}", params)


def page(kind: str, found: list[Object], url: str, params: Params) -> Object:
    """The page of these objects that the parameters ask for."""
    limit = params.optional_whole("limit", 1, 100) or 10
    after, before = params.optional("starting_after"), params.optional("ending_before")
    if before:
        found = found[: _place(kind, found, before, "ending_before")]
        part, more = found[-limit:], len(found) > limit
    else:
        begin = _place(kind, found, after, "starting_after") + 1 if after else 0
        part, more = found[begin : begin + limit], len(found) > begin + limit
    return shapes.list_of([shown(one) for one in part], url, has_more=more)


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


def _place(kind: str, found: list[Object], object_id: str, param: str) -> int:
    ids = [one["id"] for one in found]
    if object_id not in ids:
        raise missing(kind, object_id, param)
    return ids.index(object_id)


def _fits(sandbox: Sandbox, kind: str, params: Params) -> Iterator[Fits]:
    for name in _FILTERS.get(kind, ()):
        if wanted := params.optional(name):
            yield _same(name, wanted)
    for name in _FLAGS.get(kind, ()):
        if (flag := params.flag(name)) is not None:
            yield _same(name, flag)
    special = {
        "subscription": _subscriptions,
        "invoice": _invoices,
        "invoice_payment": _payments,
        "price": _prices,
    }
    if kind in special:
        yield special[kind](params)
    if kind == "event":
        yield from _events(sandbox, params)


def _same(name: str, wanted: object) -> Fits:
    return lambda one: one[name] == wanted


def _dated(compare: Callable[[int, int], bool], moment: int) -> Fits:
    return lambda one: compare(one["created"], moment)


def _created(given: Params) -> Iterator[Fits]:
    for name, compare in _COMPARISONS.items():
        if (moment := given.optional_whole(name, high=LATEST)) is not None:
            yield _dated(compare, moment)


def _subscriptions(params: Params) -> Fits:
    status, price = params.optional("status"), params.optional("price")
    return lambda one: (
        (one["status"] != "canceled" if status is None else status in ("all", one["status"]))
        and price in (None, one["items"]["data"][0]["price"]["id"])
    )


def _invoices(params: Params) -> Fits:
    wanted = params.optional("subscription")
    return lambda one: wanted in (None, invoices.subscription_of(one))


def _payments(params: Params) -> Fits:
    given = params.group("payment")
    given.choice("type", "payment_intent")
    intent = given.optional("payment_intent")
    return lambda one: intent in (None, one["payment"]["payment_intent"])


def _prices(params: Params) -> Fits:
    keys = params.texts("lookup_keys")
    return lambda one: not keys or one["lookup_key"] in keys


def _events(sandbox: Sandbox, params: Params) -> Iterator[Fits]:
    types, delivered = params.texts("types"), params.flag("delivery_success")
    if len(types) > 20:
        raise ApiError("At most 20 types can be asked for.", "parameter_invalid", "types")
    if types:
        yield lambda one: one["type"] in types
    if delivered is not None:
        rows = sandbox.store.db.execute("SELECT event FROM deliveries WHERE state = 'delivered'")
        done = {row[0] for row in rows}
        yield lambda one: (one["id"] in done) is delivered
