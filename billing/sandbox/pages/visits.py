"""A customer in their portal: who they are, what they may do, and what they have."""

from dataclasses import dataclass
from typing import Any, Final, Self

from aiohttp import web

from billing.sandbox import subscriptions
from billing.sandbox.errors import missing
from billing.sandbox.pages.rendering import page
from billing.sandbox.sandbox import Sandbox
from billing.sandbox.store import Object

_EVERYTHING: Final[dict[str, Any]] = {
    "invoice_history": {"enabled": True},
    "payment_method_update": {"enabled": True},
    "subscription_cancel": {"enabled": True, "mode": "at_period_end"},
    "subscription_update": {"enabled": True},
}
"""What a portal session without a configuration allows."""


@dataclass(frozen=True)
class Visit:
    """A customer in their portal."""

    sandbox: Sandbox
    session: Object
    customer: Object
    features: dict[str, Any]

    @classmethod
    def of(cls, sandbox: Sandbox, request: web.Request, feature: str = "") -> Self:
        """Whose page it is.  ApiError where it is nobody's, or `feature` is not allowed."""
        session = sandbox.need("billing_portal.session", request.match_info["session"])
        features = _EVERYTHING
        if configuration := session["configuration"]:
            kept = sandbox.need("billing_portal.configuration", configuration)
            features = kept["features"]
        visit = cls(sandbox, session, sandbox.need("customer", session["customer"]), features)
        if feature and not visit.allows(feature):
            raise missing("page", request.path)
        return visit

    @property
    def path(self) -> str:
        """Where their portal is."""
        return f"/p/session/{self.session['id']}"

    @property
    def ends_at_once(self) -> bool:
        """Whether what they cancel doesn't wait for its period's end."""
        return bool(self.features["subscription_cancel"].get("mode") == "immediately")

    def allows(self, feature: str) -> bool:
        """Whether the configuration lets them do it."""
        return bool(self.features.get(feature, {}).get("enabled"))

    def page(self, template: str, *, status: int = 200, **values: Any) -> web.Response:
        """A page of theirs."""
        leads_to = self.session["return_url"] or ""
        return page(template, status=status, leads_to=leads_to, visit=self, **values)

    def subscriptions(self) -> list[Object]:
        """Those that go on; where none does, the last one."""
        found = self.sandbox.store.every("subscription", owner=self.customer["id"])
        return [one for one in found if one["status"] not in subscriptions.ENDED] or found[:1]

    def subscription(self, request: web.Request) -> Object:
        """The one in the address.  ApiError where it isn't theirs, or has ended."""
        found = self.sandbox.need("subscription", request.match_info["subscription"])
        if found["customer"] != self.customer["id"] or found["status"] in subscriptions.ENDED:
            raise missing("subscription", found["id"])
        return found

    def price(self, request: web.Request) -> Object:
        """The price in the address.  ApiError where the subscription can't be switched to it."""
        for price in self.other_prices(self.subscription(request)):
            if price["id"] == request.match_info["price"]:
                return price
        raise missing("price", request.match_info["price"])

    def other_prices(self, subscription: Object) -> list[Object]:
        """The prices that the subscription can be switched to."""
        now = subscription["items"]["data"][0]["price"]
        if subscription["status"] != "active" or not self.allows("subscription_update"):
            return []
        any_price = [{"product": now["product"]}]
        offered = self.features["subscription_update"].get("products") or any_price
        prices = {one["product"]: one.get("prices") for one in offered}
        return [
            price
            for price in self.sandbox.store.every("price")
            if price["active"]
            and price["id"] != now["id"]
            and price["product"] in prices
            and price["id"] in (prices[price["product"]] or [price["id"]])
        ]

    def method(self) -> Object | None:
        """The payment method that is charged."""
        ids = [one["default_payment_method"] for one in self.subscriptions()]
        ids.append(self.customer["invoice_settings"]["default_payment_method"])
        used = next(filter(None, ids), None)
        return self.sandbox.store.get("payment_method", used) if used else None

    def described(self, subscription: Object) -> dict[str, Any]:
        """What the pages say of a subscription."""
        item = subscription["items"]["data"][0]
        latest = self.sandbox.store.get("invoice", subscription["latest_invoice"])
        return {
            "id": subscription["id"],
            "status": subscription["status"],
            "name": self.sandbox.need("product", item["price"]["product"])["name"],
            "price": item["price"],
            "renews": item["current_period_end"],
            "ends": subscription["ended_at"] or subscription["cancel_at"],
            "unpaid": latest if latest and latest["status"] in ("open", "draft") else None,
            "others": self.other_prices(subscription),
        }
