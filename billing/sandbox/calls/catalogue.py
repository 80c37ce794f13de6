"""Products, prices, coupons."""

from typing import Final

from billing.sandbox import shapes
from billing.sandbox.calls.call import Call, texts
from billing.sandbox.errors import ApiError
from billing.sandbox.params import Params
from billing.sandbox.sandbox import Sandbox
from billing.sandbox.store import Object

_PRODUCT_TEXTS: Final = ("name", "description", "statement_descriptor", "tax_code", "url")


def create_product(sandbox: Sandbox, params: Params, _: str) -> Object:
    """A product, with an id of the caller's if one is given."""
    found = shapes.made("product", "prod", sandbox.clock.now(), active=True, type="service")
    found |= dict.fromkeys(_PRODUCT_TEXTS) | {"images": [], "default_price": None}
    found |= {"name": params.text("name")} | texts(params, *_PRODUCT_TEXTS)
    found |= _own_id(sandbox, params, "product")
    return sandbox.save("product.created", _with_flags(params, found))


def update_product(sandbox: Sandbox, params: Params, product_id: str) -> Object:
    """Changes what is given."""
    found = sandbox.need("product", product_id) | texts(params, *_PRODUCT_TEXTS)
    return sandbox.save("product.updated", _with_flags(params, found))


def create_price(sandbox: Sandbox, params: Params, _: str) -> Object:
    """A recurring price."""
    product = sandbox.need("product", params.text("product"), "product")
    given = params.group("recurring")
    interval = given.choice("interval", "day", "week", "month", "year")
    if interval is None:
        raise ApiError("Only recurring prices are sold here.", "parameter_missing", "recurring")
    recurring: Object = {"interval": interval, "usage_type": "licensed", "meter": None}
    recurring["interval_count"] = given.optional_whole("interval_count", 1, 12) or 1
    given.ignore("usage_type")
    price = shapes.made("price", "price", sandbox.clock.now(), active=True, type="recurring")
    price |= {"product": product["id"], "recurring": recurring, "billing_scheme": "per_unit"}
    price |= {"currency": params.text("currency"), "unit_amount": params.whole("unit_amount")}
    price |= {"unit_amount_decimal": str(price["unit_amount"])}
    price |= {"nickname": None, "lookup_key": None, "tax_behavior": "unspecified"}
    return sandbox.save("price.created", _with_price_texts(sandbox, params, price))


def update_price(sandbox: Sandbox, params: Params, price_id: str) -> Object:
    """Changes what is given; an amount never changes."""
    price = sandbox.need("price", price_id)
    return sandbox.save("price.updated", _with_price_texts(sandbox, params, price))


def create_coupon(sandbox: Sandbox, params: Params, _: str) -> Object:
    """A percentage or an amount off."""
    found = shapes.made("coupon", "coupon", sandbox.clock.now(), valid=True, name=None)
    found |= {"percent_off": _percentage(params), "amount_off": None, "currency": None}
    if found["percent_off"] is None:
        found |= {"amount_off": params.whole("amount_off", 1), "currency": params.text("currency")}
    found["duration"] = params.choice("duration", "once", "forever") or "once"
    found |= {"duration_in_months": None, "max_redemptions": None, "redeem_by": None}
    found |= {"times_redeemed": 0} | texts(params, "name") | _own_id(sandbox, params, "coupon")
    found["_products"] = params.group("applies_to").texts("products")
    return sandbox.save("coupon.created", found | {"metadata": params.metadata()})


def update_coupon(sandbox: Sandbox, params: Params, coupon_id: str) -> Object:
    """Changes its name and metadata; what it takes off never changes."""
    found = sandbox.need("coupon", coupon_id) | texts(params, "name")
    return sandbox.save("coupon.updated", found | {"metadata": params.metadata(found["metadata"])})


def delete_coupon(sandbox: Sandbox, _: Params, coupon_id: str) -> Object:
    """It can't be used any more; what was sold with it stays."""
    found = sandbox.need("coupon", coupon_id)
    sandbox.emit("coupon.deleted", found)
    sandbox.store.delete(coupon_id)
    return {"id": coupon_id, "object": "coupon", "deleted": True}


def _own_id(sandbox: Sandbox, params: Params, kind: str) -> Object:
    given = params.optional("id")
    if given is None:
        return {}
    if sandbox.store.exists(given):
        raise ApiError(f"{kind.title()} already exists.", "resource_already_exists", "id")
    return {"id": given}


def _with_flags(params: Params, found: Object) -> Object:
    active = params.flag("active")
    found["active"] = found["active"] if active is None else active
    return found | {"metadata": params.metadata(found["metadata"])}


def _with_price_texts(sandbox: Sandbox, params: Params, price: Object) -> Object:
    moves = params.flag("transfer_lookup_key")
    price |= texts(params, "nickname", "lookup_key", "tax_behavior")
    key = price["lookup_key"]
    for other in sandbox.store.every("price") if key else []:
        if other["lookup_key"] == key and other["id"] != price["id"]:
            if not moves:
                raise ApiError("A price with this lookup key exists.", "", "lookup_key")
            sandbox.save("price.updated", other | {"lookup_key": None}, {"lookup_key": key})
    return _with_flags(params, price)


def _percentage(params: Params) -> float | None:
    given = params.optional("percent_off")
    if given is None:
        return None
    try:
        found = float(given)
    except ValueError:
        found = 0.0
    if not 0 < found <= 100:
        raise ApiError("Invalid percent_off: from 0 to 100.", "parameter_invalid", "percent_off")
    return found


CALLS: dict[tuple[str, str], Call] = {
    ("POST", "products"): create_product,
    ("POST", "products/*"): update_product,
    ("POST", "prices"): create_price,
    ("POST", "prices/*"): update_price,
    ("POST", "coupons"): create_coupon,
    ("POST", "coupons/*"): update_coupon,
    ("DELETE", "coupons/*"): delete_coupon,
}
