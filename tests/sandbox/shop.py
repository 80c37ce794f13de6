"""What a product does with Stripe, in the words of its official SDK."""

from typing import Any

import requests
import stripe

from tests.sandbox.running import KEY

API_VERSION = "2026-10-28.endive"
GOOD = "4242424242424242"
DECLINED = "4000000000000002"
AUTHENTICATE = "4000002500003155"
DECLINES_LATER = "4000000000000341"
DAY = 86400


class Shop:
    """Sells one product, by the month or by the year."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.v1 = client(base)
        self.product = self.v1.products.create({"name": "Pro"})
        self.monthly = self.price(2999, "month")
        self.annual = self.price(28790, "year")

    def price(self, cents: int, interval: str, **more: Any) -> stripe.Price:
        return self.v1.prices.create(
            {
                "product": self.product.id,
                "currency": "usd",
                "unit_amount": cents,
                "recurring": {"interval": interval},
                **more,
            }
        )

    def customer(self) -> stripe.Customer:
        return self.v1.customers.create({"email": "alice@example.com"})

    def session(
        self, customer: str, price: stripe.Price | None = None, **more: Any
    ) -> stripe.checkout.Session:
        return self.v1.checkout.sessions.create(
            {
                "mode": "subscription",
                "customer": customer,
                "line_items": [{"price": (price or self.monthly).id, "quantity": 1}],
                "success_url": "http://shop.example/done?s={CHECKOUT_SESSION_ID}",
                "cancel_url": "http://shop.example/pricing",
                **more,
            }
        )

    def subscribed(
        self, number: str = GOOD, price: stripe.Price | None = None, **more: Any
    ) -> stripe.Subscription:
        """A new customer's subscription."""
        session = self.session(self.customer().id, price, **more)
        paid = self.control("pay", session=session.id, number=number)
        assert paid["outcome"] == "paid", paid
        found = self.v1.checkout.sessions.retrieve(session.id)
        return self.subscription(str(found.subscription))

    def subscription(self, subscription_id: str) -> stripe.Subscription:
        return self.v1.subscriptions.retrieve(subscription_id)

    def invoices(self, subscription_id: str) -> list[stripe.Invoice]:
        """Newest first."""
        return self.v1.invoices.list({"subscription": subscription_id, "limit": 100}).data

    def charge_of(self, subscription: stripe.Subscription) -> stripe.Charge:
        """What paid its latest invoice."""
        payment = self.v1.invoice_payments.list(
            {
                "invoice": str(subscription.latest_invoice),
                "status": "paid",
                "expand": ["data.payment.payment_intent.latest_charge"],
            }
        ).data[0]
        return payment.payment.payment_intent.latest_charge

    def events(self, *types: str) -> list[stripe.Event]:
        """Newest first."""
        listed = self.v1.events.list({"limit": 100, **({"types": list(types)} if types else {})})
        return list(listed.auto_paging_iter())

    def happened(self) -> list[str]:
        """The types of all events, oldest first."""
        return [event.type for event in self.events()][::-1]

    def portal(self, customer: str, **more: Any) -> str:
        """The portal's address."""
        return self.v1.billing_portal.sessions.create(
            {"customer": customer, "return_url": "http://shop.example/billing", **more}
        ).url

    def advance(self, *, days: int = 0, seconds: int = 0) -> None:
        self.control("clock", advance=days * DAY + seconds)

    def advance_to(self, moment: int) -> None:
        """Lets the moment be reached, exactly."""
        self.advance(seconds=moment - self.now())

    def now(self) -> int:
        return int(self.control("clock", "GET")["now"])

    def control(self, path: str, method: str = "POST", **values: Any) -> dict[str, Any]:
        """One of the sandbox's own calls."""
        answer = self.control_answer(path, method, **values)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def control_answer(self, path: str, method: str = "POST", **values: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {KEY}"}
        address = f"{self.base}/sandbox/{path}"
        return requests.request(method, address, json=values, headers=headers, timeout=10)


def client(base: str, key: str = KEY, **more: Any) -> Any:
    """The SDK's own client, which is what the product uses."""
    return stripe.StripeClient(
        key, stripe_version=API_VERSION, base_addresses={"api": base}, **more
    ).v1
