"""Every parameter that the sandbox takes is one that the official SDK knows for that call.

Stripe drops parameters between its API versions: one that is taken here and refused there would
let every test pass and no customer pay.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from stripe import params as sdk
from stripe.params import billing_portal
from stripe.params import checkout as sdk_checkout

from billing.sandbox import calls, checkout, reading
from billing.sandbox.params import Params
from billing.sandbox.sandbox import Sandbox
from billing.sandbox.store import Store

POSTED: dict[tuple[str, str], Any] = {
    ("GET", "account"): sdk.AccountRetrieveCurrentParams,
    ("POST", "products"): sdk.ProductCreateParams,
    ("POST", "products/*"): sdk.ProductUpdateParams,
    ("POST", "prices"): sdk.PriceCreateParams,
    ("POST", "prices/*"): sdk.PriceUpdateParams,
    ("POST", "coupons"): sdk.CouponCreateParams,
    ("POST", "coupons/*"): sdk.CouponUpdateParams,
    ("DELETE", "coupons/*"): sdk.CouponDeleteParams,
    ("POST", "customers"): sdk.CustomerCreateParams,
    ("POST", "customers/*"): sdk.CustomerUpdateParams,
    ("DELETE", "customers/*"): sdk.CustomerDeleteParams,
    ("GET", "customers/*/balance_transactions"): sdk.CustomerBalanceTransactionListParams,
    ("POST", "customers/*/balance_transactions"): sdk.CustomerBalanceTransactionCreateParams,
    ("POST", "payment_methods/*/attach"): sdk.PaymentMethodAttachParams,
    ("POST", "checkout/sessions"): sdk_checkout.SessionCreateParams,
    ("POST", "checkout/sessions/*/expire"): sdk_checkout.SessionExpireParams,
    ("POST", "refunds"): sdk.RefundCreateParams,
    ("POST", "subscriptions/*"): sdk.SubscriptionUpdateParams,
    ("DELETE", "subscriptions/*"): sdk.SubscriptionCancelParams,
    ("POST", "invoices/*/pay"): sdk.InvoicePayParams,
    ("POST", "invoices/*/void"): sdk.InvoiceVoidInvoiceParams,
    ("POST", "billing_portal/sessions"): billing_portal.SessionCreateParams,
    ("POST", "billing_portal/configurations"): billing_portal.ConfigurationCreateParams,
    ("POST", "billing_portal/configurations/*"): billing_portal.ConfigurationUpdateParams,
}
LISTED: dict[str, Any] = {
    "customers": sdk.CustomerListParams,
    "products": sdk.ProductListParams,
    "prices": sdk.PriceListParams,
    "coupons": sdk.CouponListParams,
    "checkout/sessions": sdk_checkout.SessionListParams,
    "subscriptions": sdk.SubscriptionListParams,
    "invoices": sdk.InvoiceListParams,
    "invoice_payments": sdk.InvoicePaymentListParams,
    "payment_intents": sdk.PaymentIntentListParams,
    "payment_methods": sdk.PaymentMethodListParams,
    "charges": sdk.ChargeListParams,
    "refunds": sdk.RefundListParams,
    "disputes": sdk.DisputeListParams,
    "events": sdk.EventListParams,
    "billing_portal/configurations": billing_portal.ConfigurationListParams,
}


class _Tree(dict[str, Any]):
    """A group of parameters that remembers which names were looked for."""

    def __init__(self, tree: dict[str, Any], path: str, read: set[tuple[str, ...]]) -> None:
        super().__init__(tree)
        self._path, self._read = tuple(re.findall(r"[a-z_]+", path)), read

    def pop(self, name: str, *default: Any) -> Any:
        self._read.add((*self._path, name))
        return super().pop(name, *default)

    def __contains__(self, name: object) -> bool:
        self._read.add((*self._path, str(name)))
        return super().__contains__(name)


class Watched(Params):
    """Parameters that remember, through all of their groups, which names were looked for."""

    read: ClassVar[set[tuple[str, ...]]] = set()

    def __init__(self, tree: dict[str, Any], path: str = "") -> None:
        super().__init__(tree, path)
        self._tree = _Tree(tree, path, self.read)


def known(shape: Any, name: tuple[str, ...]) -> bool:
    """Whether a call's parameters in the SDK have this name, down to its last part."""
    shapes = [shape]
    for part in name:
        fields = [(one, one.__annotations__[part]) for one in shapes if part in one.__annotations__]
        if not fields:
            return False
        # A field names its group's class, which is its module's, and no more of it is needed.
        shapes = [
            getattr(sys.modules[owner.__module__], word)
            for owner, field in fields
            for word in re.findall(r"\w+Params\w+", str(field))
        ]
    return True


def unknown(shape: Any) -> list[str]:
    return [".".join(name) for name in sorted(Watched.read) if not known(shape, name)]


class Life:
    """Every call once, with what makes it look for all that it takes; what the SDK doesn't know."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.called: set[tuple[str, str]] = set()
        self.strange: dict[str, list[str]] = {}

    def call(self, method: str, path: str, object_id: str = "", **given: Any) -> dict[str, Any]:
        Watched.read.clear()
        found = calls.CALLS[method, path](self.sandbox, Watched(given), object_id)
        self.called.add((method, path))
        if names := unknown(POSTED[method, path]):
            self.strange[f"{method} {path}"] = names
        return found

    def live(self) -> None:
        product = self.call("POST", "products", name="Pro")["id"]
        self.call("POST", "products/*", product)
        recurring = {"interval": "month"}
        price = self.call(
            "POST",
            "prices",
            product=product,
            recurring=recurring,
            currency="usd",
            unit_amount="2999",
        )["id"]
        self.call("POST", "prices/*", price)
        coupon = self.call("POST", "coupons", amount_off="500", currency="usd")["id"]
        self.call("POST", "coupons/*", coupon)
        customer = self.call("POST", "customers", email="alice@example.com")["id"]
        self.call("POST", "customers/*", customer)
        self.call(
            "POST", "customers/*/balance_transactions", customer, amount="-100", currency="usd"
        )
        self.call("GET", "customers/*/balance_transactions", customer)
        self.call("POST", "payment_methods/*/attach", "pm_card_visa", customer=customer)
        self._subscribe(customer, price, coupon)
        self._configure(customer, product, price)
        self.call("GET", "account")
        self.call("DELETE", "coupons/*", coupon)
        self.call("DELETE", "customers/*", customer)

    def _subscribe(self, customer: str, price: str, coupon: str) -> None:
        given = {
            "customer": customer,
            "mode": "subscription",
            "line_items": [{"price": price, "quantity": "1"}],
            "discounts": [{"coupon": coupon}],
            "success_url": "http://shop.example/",
        }
        session = self.call("POST", "checkout/sessions", **given)["id"]
        other = self.call("POST", "checkout/sessions", **given)["id"]
        self.call("POST", "checkout/sessions/*/expire", other)
        paid = checkout.pay(self.sandbox, session, "4242424242424242", "12/40", "123")
        assert paid.outcome == "paid"
        subscription = self.sandbox.store.every("subscription")[0]
        self.call(
            "POST",
            "subscriptions/*",
            subscription["id"],
            items=[{"id": subscription["items"]["data"][0]["id"], "price": price}],
        )
        intent = self.sandbox.store.every("payment_intent")[0]["id"]
        self.call("POST", "refunds", payment_intent=intent)
        self._invoices()
        self.call("DELETE", "subscriptions/*", subscription["id"])

    def _invoices(self) -> None:
        invoice = self.sandbox.store.every("invoice")[0] | {"status": "open"}
        self.sandbox.store.put(invoice)
        self.call("POST", "invoices/*/pay", invoice["id"])
        self.sandbox.store.put(invoice | {"status": "open"})
        self.call("POST", "invoices/*/void", invoice["id"])

    def _configure(self, customer: str, product: str, price: str) -> None:
        updates = {"enabled": "true", "products": [{"product": product, "prices": [price]}]}
        given: dict[str, Any] = {"features": {"subscription_update": updates}}
        configuration = self.call("POST", "billing_portal/configurations", **given)["id"]
        self.call("POST", "billing_portal/configurations/*", configuration, **given)
        self.call("POST", "billing_portal/sessions", customer=customer)


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    store = Store(str(tmp_path / "state.sqlite3"))
    yield Sandbox(store)
    store.db.close()


def test_every_call_takes_only_what_the_sdk_knows_for_it(sandbox: Sandbox) -> None:
    life = Life(sandbox)

    life.live()

    assert life.strange == {}
    assert life.called == set(calls.CALLS) == set(POSTED)


@pytest.mark.parametrize("path", list(reading.KINDS))
def test_every_list_takes_only_what_the_sdk_knows_for_it(sandbox: Sandbox, path: str) -> None:
    Watched.read.clear()

    reading.listed(sandbox, path, Watched({}))

    assert unknown(LISTED[path]) == []
    assert len(Watched.read) > 3
