"""The customer portal's sessions and settings, and the account itself."""

from typing import Any, Final

from billing.sandbox import shapes
from billing.sandbox.calls.call import Call, texts
from billing.sandbox.errors import ApiError
from billing.sandbox.params import Params
from billing.sandbox.sandbox import Sandbox
from billing.sandbox.store import Object, new_id

_FEATURES: Final = (
    "customer_update",
    "invoice_history",
    "payment_method_update",
    "subscription_cancel",
    "subscription_update",
)


def create_session(sandbox: Sandbox, params: Params, _: str) -> Object:
    """A page on which a customer looks after their subscription."""
    customer = sandbox.need("customer", params.text("customer"), "customer")
    found = shapes.made("billing_portal.session", "bps", sandbox.clock.now())
    found |= {"customer": customer["id"], "configuration": None, "_method": None}
    if configuration := params.optional("configuration"):
        kept = sandbox.need("billing_portal.configuration", configuration, "configuration")
        found["configuration"] = kept["id"]
    found["return_url"] = params.address("return_url") if "return_url" in params else None
    found["url"] = f"{sandbox.base}/p/session/{found['id']}"
    params.ignore("locale")
    return sandbox.store.put(found)


def create_configuration(sandbox: Sandbox, params: Params, _: str) -> Object:
    """What the portal lets customers do."""
    found = shapes.made("billing_portal.configuration", "bpc", sandbox.clock.now(), active=True)
    found |= {"business_profile": {}, "default_return_url": None, "name": None}
    found["is_default"] = not sandbox.store.every("billing_portal.configuration")
    found["features"] = {name: {"enabled": False} for name in _FEATURES}
    found["login_page"] = {"enabled": False, "url": None}
    return sandbox.save("billing_portal.configuration.created", _given(params, found))


def update_configuration(sandbox: Sandbox, params: Params, configuration_id: str) -> Object:
    """Changes what is given."""
    found = sandbox.need("billing_portal.configuration", configuration_id)
    active = params.flag("active")
    found["active"] = found["active"] if active is None else active
    return sandbox.save("billing_portal.configuration.updated", _given(params, found))


def account(sandbox: Sandbox, _: Params, __: str) -> Object:
    """The account whose key this is."""
    own = sandbox.store.setting("account", None) or new_id("acct")
    sandbox.store.set_setting("account", own)
    return {
        "id": own,
        "object": "account",
        "charges_enabled": True,
        "country": "US",
        "default_currency": "usd",
        "details_submitted": True,
        "email": None,
        "payouts_enabled": False,
        "settings": {"dashboard": {"display_name": "Sandbox", "timezone": "Etc/UTC"}},
        "type": "standard",
    }


def _given(params: Params, found: Object) -> Object:
    found |= texts(params, "default_return_url", "name")
    found["metadata"] = params.metadata(found["metadata"])
    found["business_profile"] |= _group(params, "business_profile")
    for name, feature in _group(params, "features").items():
        if name not in _FEATURES or not isinstance(feature, dict):
            raise ApiError(f"Received unknown parameter: features[{name}]", "parameter_unknown")
        found["features"][name] |= feature
    params.ignore("login_page")
    return found


def _group(params: Params, name: str) -> dict[str, Any]:
    given = params.free(name) or {}
    if not isinstance(given, dict):
        raise ApiError(f"Invalid {name}: it has to be a group.", "parameter_invalid", name)
    return given


CALLS: dict[tuple[str, str], Call] = {
    ("GET", "account"): account,
    ("POST", "billing_portal/sessions"): create_session,
    ("POST", "billing_portal/configurations"): create_configuration,
    ("POST", "billing_portal/configurations/*"): update_configuration,
}
