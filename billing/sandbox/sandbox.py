"""The engine: what happens when somebody pays, and what Stripe says about it."""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal

from billing.sandbox import cards, shapes
from billing.sandbox.clock import Clock
from billing.sandbox.errors import missing
from billing.sandbox.store import Object, Store


@dataclass(frozen=True)
class Payment:
    """What came of an attempt to pay."""

    outcome: Literal["paid", "declined", "authenticate", "closed"]
    message: str = ""
    redirect: str = ""


class Sandbox:
    """Not safe between threads: for the one thread of the server."""

    def __init__(self, store: Store, base: str = "") -> None:
        self.store, self.base, self.clock = store, base, Clock(store)

    def need(self, kind: str, object_id: str, param: str = "id") -> Object:
        """The object; a 404 where there is none."""
        found = self.store.get(kind, object_id)
        if found is None:
            raise missing(kind, object_id, param)
        return found

    def emit(self, name: str, about: Object, previous: Object | None = None) -> None:
        """An event with the object as it is now, queued for delivery."""
        data = {"object": shown(about)} | ({"previous_attributes": previous} if previous else {})
        event = shapes.made("event", "evt", self.clock.now(), type=name, data=data)
        event |= {"api_version": shapes.API_VERSION, "pending_webhooks": 1}
        event["request"] = {"id": None, "idempotency_key": None}
        self.store.put(event)
        self.store.db.execute(
            "INSERT INTO deliveries VALUES (?, 0, 0, 'pending', '')", (event["id"],)
        )

    def session(self, session_id: str) -> Object | None:
        """A Checkout session as it is now."""
        found = self.store.get("checkout.session", session_id)
        if found and found["status"] == "open" and found["expires_at"] <= self.clock.now():
            self.expire(found)
        return found

    def expire(self, session: Object) -> None:
        session |= {"status": "expired", "url": None}
        self.emit("checkout.session.expired", self.store.put(session))

    def pay(self, session_id: str, number: str, expiry: str, cvc: str) -> Payment:
        """Pays a session, as its page does with what was typed."""
        number = number.replace(" ", "").replace("-", "")
        session = self.session(session_id)
        if session is None or session["status"] != "open":
            return Payment("closed", "This page has been paid or has expired.")
        refused = cards.mistake(number, expiry, cvc, self.clock.now()) or cards.refusal(
            number, renewal=False
        )
        if refused:
            return Payment("declined", refused)
        method = self._method(session["customer"], number, expiry)
        if number == cards.AUTHENTICATE:
            session["waiting_method"] = method["id"]
            self.store.put(session)
            return Payment("authenticate")
        return self._complete(session, method)

    def authenticate(self, session_id: str, approved: bool) -> Payment:
        """Goes on after the bank's question."""
        session = self.session(session_id)
        waiting = (session or {}).get("waiting_method")
        if session is None or session["status"] != "open" or not waiting:
            return Payment("closed", "There is nothing to authenticate.")
        if not approved:
            return Payment("declined", "We are unable to authenticate your payment method.")
        return self._complete(session, self.need("payment_method", waiting))

    def _method(self, customer: str, number: str, expiry: str) -> Object:
        method = shapes.made("payment_method", "pm", self.clock.now(), type="card")
        method |= {"customer": customer, "card": cards.card(number, expiry)}
        method["behaviour"] = cards.behaviour(number)
        return self.store.put(method)

    def _complete(self, session: Object, method: Object) -> Payment:
        now = self.clock.now()
        self.emit("payment_method.attached", method)
        price = self.need("price", session["price"])
        subscription = shapes.subscription(session, price, method["id"], now)
        invoice = shapes.invoice(
            subscription,
            session["amount_subtotal"],
            session["amount_total"],
            "subscription_create",
            now,
        )
        self.emit("invoice.created", invoice)
        self.emit("invoice.finalized", invoice)
        self.take(invoice, method)
        subscription["latest_invoice"] = invoice["id"]
        self.emit("customer.subscription.created", self.store.put(subscription))
        session |= {"status": "complete", "payment_status": "paid", "url": None}
        session |= {"subscription": subscription["id"], "invoice": invoice["id"]}
        self.emit("checkout.session.completed", self.store.put(session))
        redirect = session["success_url"].replace("{CHECKOUT_SESSION_ID}", session["id"])
        return Payment("paid", redirect=redirect)

    def take(self, invoice: Object, method: Object) -> None:
        """Charges the card for the invoice; nothing is charged for nothing."""
        now, cents = self.clock.now(), invoice["amount_due"]
        if cents:
            intent = shapes.made("payment_intent", "pi", now, amount=cents, status="succeeded")
            charge = shapes.made("charge", "ch", now, amount=cents, status="succeeded", paid=True)
            for one in (intent, charge):
                one |= {"customer": invoice["customer"], "currency": "usd"}
                one["payment_method"] = method["id"]
            intent |= {"latest_charge": charge["id"], "amount_received": cents}
            charge |= {"payment_intent": intent["id"], "amount_refunded": 0}
            charge |= {"refunded": False, "disputed": False}
            self.emit("charge.succeeded", self.store.put(charge))
            self.emit("payment_intent.succeeded", self.store.put(intent))
            paid = shapes.made("invoice_payment", "inpay", now, status="paid", amount_paid=cents)
            paid["payment"] = {"type": "payment_intent", "payment_intent": intent["id"]}
            self.store.put(paid | {"invoice": invoice["id"]})
        invoice |= {"status": "paid", "amount_paid": cents, "amount_remaining": 0}
        invoice |= {"attempted": True, "attempt_count": 1}
        self.store.put(invoice)
        self.emit("invoice.paid", invoice)
        self.emit("invoice.payment_succeeded", invoice)

    def refund(self, charge: Object, cents: int) -> Object:
        """Gives back a part or all of a charge."""
        refund = shapes.made("refund", "re", self.clock.now(), amount=cents, status="succeeded")
        refund |= {"charge": charge["id"], "payment_intent": charge["payment_intent"]}
        charge["amount_refunded"] += cents
        charge["refunded"] = charge["amount_refunded"] == charge["amount"]
        self.emit("charge.refunded", self.store.put(charge))
        return self.store.put(refund)

    def cancel(self, subscription: Object) -> Object:
        """Ends a subscription at once."""
        before, now = subscription["status"], self.clock.now()
        subscription |= {"status": "canceled", "canceled_at": now, "ended_at": now}
        self.emit("customer.subscription.deleted", self.store.put(subscription), {"status": before})
        return subscription

    def set_cancel_at_period_end(self, subscription_id: str, wanted: bool) -> Object:
        """Lets a subscription end with its period, or go on."""
        found = self.need("subscription", subscription_id)
        before = {key: found[key] for key in ("cancel_at", "cancel_at_period_end")}
        ends = found["items"]["data"][0]["current_period_end"] if wanted else None
        found |= {"cancel_at_period_end": wanted, "cancel_at": ends}
        self.emit("customer.subscription.updated", self.store.put(found), before)
        return found


def discounted(cents: int, coupon: Object | None) -> int:
    """What is left; the discount is rounded half up, as Stripe does."""
    if coupon is None:
        return cents
    if coupon.get("amount_off"):
        return max(0, cents - int(coupon["amount_off"]))
    part = Decimal(cents) * Decimal(str(coupon["percent_off"])) / 100
    return cents - int(part.quantize(Decimal(1), ROUND_HALF_UP))


def shown(found: Object) -> Object:
    """An object without what only the sandbox keeps of it."""
    kept = ("behaviour", "waiting_method", "price_id", "subscription_metadata")
    hidden = (*kept, "price") if found["object"] == "checkout.session" else kept
    return {key: value for key, value in found.items() if key not in hidden}
