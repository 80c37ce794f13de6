"""The customer portal's sessions and settings, and the account itself."""

from typing import Final

from billing.sandbox import shapes
from billing.sandbox.calls.call import Call, texts
from billing.sandbox.params import Params
from billing.sandbox.sandbox import Sandbox
from billing.sandbox.store import Object, new_id

_FEATURES: Final[dict[str, tuple[str, ...]]] = {
    "customer_update": ("allowed_updates",),
    "invoice_history": (),
    "payment_method_update": (),
    "subscription_cancel": ("cancellation_reason", "proration_behavior"),
    "subscription_update": (
        "default_allowed_updates",
        "proration_behavior",
        "schedule_at_period_end",
    ),
}
"""With the details of each that are kept as they are given, and are without effect here."""


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
    profile = params.group("business_profile")
    found["business_profile"] |= texts(
        profile, "headline", "privacy_policy_url", "terms_of_service_url"
    )
    features = params.group("features")
    for name in _FEATURES:
        found["features"][name] |= _feature(name, features.group(name))
    params.ignore("login_page")
    return found


def _feature(name: str, given: Params) -> Object:
    """What is given of a feature."""
    found: Object = {detail: given.free(detail) for detail in _FEATURES[name] if detail in given}
    if "enabled" in given:
        found["enabled"] = given.flag("enabled")
    if name == "subscription_cancel" and "mode" in given:
        found["mode"] = given.choice("mode", "at_period_end", "immediately")
    if name == "subscription_update" and "products" in given:
        found["products"] = [
            {"product": one.text("product"), "prices": one.texts("prices")}
            for one in given.groups("products")
        ]
    return found


CALLS: dict[tuple[str, str], Call] = {
    ("GET", "account"): account,
    ("POST", "billing_portal/sessions"): create_session,
    ("POST", "billing_portal/configurations"): create_configuration,
    ("POST", "billing_portal/configurations/*"): update_configuration,
}
