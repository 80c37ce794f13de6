"""The only module that knows the stripe package: our calls to it, in our own terms.

Written for the API version below, with the SDK's `client.v1`.  Every call raises StripeAway when
Stripe can't be reached in time, is too busy or fails, and StripeRefused when it answers that the
request is wrong.  Cards, secrets and bodies never get into an error's text.
"""

import datetime as dt
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from http import HTTPStatus
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

import stripe
from django.conf import settings
from stripe.params.billing_portal import SessionCreateParams as PortalParams
from stripe.params.checkout import SessionCreateParams

from billing.payments.catalogue import PRICES
from billing.payments.states import (
    DECIDED,
    OVER,
    CardState,
    CustomerState,
    InvoiceState,
    SessionState,
    SubscriptionState,
)

API_VERSION: Final = "2026-10-28.endive"
OBJECT_KEY: Final = "scalix"
"""Metadata of what is ours at Stripe.  A price that lost its lookup key keeps this."""

PAGE_TIMEOUT: Final = 2.2
"""Seconds that a page's call of Stripe may take."""

PAGE_BEGINS: Final = 1.5
"""Seconds within which a page begins its calls; slow answers would add up."""

_TOLERANCE_SECONDS: Final = 300

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S", bound="StripeApi")


class StripeError(Exception):
    """Something about Stripe did not work."""


class StripeAway(StripeError):
    """It can't be reached, took too long, is too busy, or failed: try again later."""


class StripeFailed(StripeAway):
    """It answered that it failed, and answers so for a day to whoever asks with the same key."""


class StripeRefused(StripeError):
    """It answered that the request can't be done; trying again won't help."""


class StripeMissing(StripeRefused):
    """There is no such object, for this key."""


class BadSignature(StripeError):
    """A webhook that Stripe did not sign, or not now, or that is no event."""


@dataclass(frozen=True, slots=True)
class CreatedSession:
    """A Checkout session at its page's address."""

    id: str
    url: str
    total_cents: int
    expires_at: dt.datetime


def _translated(
    method: Callable[Concatenate[S, P], R],
) -> Callable[Concatenate[S, P], R]:
    """The method, raising our errors."""

    @wraps(method)
    def translated(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        if self.deadline is not None and time.monotonic() > self.deadline:
            raise StripeAway("no time is left for another call")
        try:
            return method(self, *args, **kwargs)
        except stripe.StripeError as error:
            raise _ours(error) from error

    return translated


def _ours(error: stripe.StripeError) -> StripeError:
    name, status, code = type(error).__name__, error.http_status, error.code or ""
    text = f"{name} {status or ''} {code}".strip()
    if status is not None and status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return StripeFailed(text)
    away = isinstance(error, stripe.APIConnectionError | stripe.RateLimitError)
    if away or status in (None, HTTPStatus.CONFLICT):
        return StripeAway(text)
    return StripeMissing(text) if code == "resource_missing" else StripeRefused(text)


class StripeApi:
    """Stripe with our key.  Safe to share between threads."""

    deadline: float | None = None
    """By the monotonic clock; no call begins after it."""

    def __init__(self, *, key: str, base: str = "", timeout: float = 5.0, retries: int = 2) -> None:
        """`base`: another address than Stripe's own; `timeout`: seconds an attempt may take."""
        self._client = stripe.StripeClient(
            key,
            stripe_version=API_VERSION,
            base_addresses={"api": base} if base else None,
            max_network_retries=retries,
            http_client=stripe.RequestsClient(timeout=timeout),
        )
        self._v1 = self._client.v1

    # Customers and what they have -----------------------------------------------------------

    @_translated
    def create_customer(self, *, user_id: str, email: str, idempotency_key: str) -> str:
        """The new customer's id; the same one again for the same key."""
        customer = self._v1.customers.create(
            {"email": email, "metadata": {"user_id": user_id}},
            {"idempotency_key": idempotency_key},
        )
        return customer.id

    @_translated
    def change_email(self, customer_id: str, email: str) -> None:
        """From now on receipts go there."""
        self._v1.customers.update(customer_id, {"email": email})

    @_translated
    def fetch(self, customer_id: str, session_ids: Sequence[str] = ()) -> CustomerState:
        """The customer now, with these sessions; StripeMissing when there is no such customer."""
        customer = self._v1.customers.retrieve(
            customer_id, {"expand": ["invoice_settings.default_payment_method"]}
        ).to_dict()
        if customer.get("deleted"):
            expired = tuple(SessionState(one, "expired", "unpaid") for one in session_ids)
            return CustomerState(customer_id, sessions=expired, is_gone=True)
        # Before the subscriptions: one that is complete is never seen without what it came to.
        sessions = tuple(self._session_or_expired(one) for one in session_ids)
        listed = self._v1.subscriptions.list(
            {
                "customer": customer_id,
                "status": "all",
                "limit": 100,
                "expand": ["data.default_payment_method"],
            }
        )
        subscriptions = [one.to_dict() for one in listed.auto_paging_iter()]
        listed_invoices = self._v1.invoices.list({"customer": customer_id, "limit": 100})
        invoices = [one.to_dict() for one in listed_invoices.auto_paging_iter()]
        has_paid = any(invoice["amount_paid"] > 0 for invoice in invoices)
        disputes = self._disputes(customer_id) if has_paid else {}
        return CustomerState(
            id=customer_id,
            subscriptions=tuple(
                self._subscription(one, invoices, disputes)
                for one in subscriptions
                if one["items"]["data"]
            ),
            sessions=sessions,
            card=_card(customer, subscriptions),
            has_paid=has_paid,
            email=customer.get("email") or "",
        )

    @_translated
    def every_subscription(self) -> list[tuple[str, SubscriptionState]]:
        """Each customer's id and subscription that has not ended, without invoices."""
        listed = self._v1.subscriptions.list({"limit": 100})
        found = (one.to_dict() for one in listed.auto_paging_iter())
        return [(one["customer"], _subscription(one, ())) for one in found if one["items"]["data"]]

    def _disputes(self, customer_id: str) -> dict[str, str]:
        """The status of the dispute about each invoice that has one.

        A dispute names its charge, and a charge its payment intent: customers who have none, which
        is nearly all, cost one call.
        """
        found: dict[str, str] = {}
        charges = self._v1.charges.list({"customer": customer_id, "limit": 100})
        for charge in charges.auto_paging_iter():
            intent = charge.to_dict().get("payment_intent")
            if not charge.disputed or not intent:
                continue
            statuses = [one.status for one in self._v1.disputes.list({"charge": charge.id}).data]
            payments = self._v1.invoice_payments.list(
                {"payment": {"type": "payment_intent", "payment_intent": intent}}
            )
            for payment in payments.to_dict()["data"]:
                invoice_id = payment["invoice"]
                found[invoice_id] = _weightiest([*statuses, found.get(invoice_id, "")])
        return found

    def _subscription(
        self,
        found: dict[str, Any],
        invoices: Sequence[dict[str, Any]],
        disputes: Mapping[str, str],
    ) -> SubscriptionState:
        """With the period's invoices and, where a credit paid them, the one that it came from.

        Who changes from a year to a month has months paid by what is left of the year.
        """
        begins = _subscription(found, ()).paid_since
        wanted: list[dict[str, Any]] = []
        own = [one for one in invoices if _subscription_of(one) == found["id"]]  # newest first
        for invoice in own:
            paid_with_money = any(one["amount_paid"] for one in wanted)
            if _moment(invoice["created"]) < begins and paid_with_money:
                break
            wanted.append(invoice)
        return _subscription(
            found,
            tuple(self._invoice(one, disputes.get(one["id"], "")) for one in wanted),
            tuple(disputes[one["id"]] for one in own[len(wanted) :] if one["id"] in disputes),
        )

    def _invoice(self, invoice: dict[str, Any], dispute: str) -> InvoiceState:
        intents, refunded = self._payments(invoice) if invoice["amount_paid"] else ((), 0)
        next_attempt = invoice.get("next_payment_attempt")
        return InvoiceState(
            id=invoice["id"],
            status=invoice["status"],
            created_at=_moment(invoice["created"]),
            due_cents=invoice["amount_due"],
            paid_cents=invoice["amount_paid"],
            refunded_cents=refunded,
            dispute=dispute,
            payment_intents=intents,
            next_attempt_at=_moment(next_attempt) if next_attempt else None,
        )

    def _payments(self, invoice: dict[str, Any]) -> tuple[tuple[str, ...], int]:
        """The invoice's payment intents, and what was refunded of them."""
        payments = self._v1.invoice_payments.list(
            {
                "invoice": invoice["id"],
                "status": "paid",
                "expand": ["data.payment.payment_intent.latest_charge"],
            }
        )
        intents: list[str] = []
        refunded = 0
        for one in payments.auto_paging_iter():
            intent = one.to_dict()["payment"].get("payment_intent")
            if not intent:
                continue
            intents.append(intent["id"])
            charge = intent.get("latest_charge") or {}
            refunded += charge.get("amount_refunded") or 0
        return tuple(intents), refunded

    @_translated
    def session(self, session_id: str) -> SessionState:
        """A Checkout session now; StripeRefused when there is none with this id."""
        session = self._v1.checkout.sessions.retrieve(session_id).to_dict()
        return SessionState(
            id=session["id"],
            status=session["status"],
            payment_status=session["payment_status"],
            subscription_id=session.get("subscription") or "",
        )

    def _session_or_expired(self, session_id: str) -> SessionState:
        try:
            return self.session(session_id)
        except StripeMissing:  # nobody can pay it
            return SessionState(session_id, "expired", "unpaid")

    # Checkout and portal --------------------------------------------------------------------

    @_translated
    def create_session(
        self,
        *,
        customer_id: str,
        user_id: str,
        price_id: str,
        coupon_id: str | None,
        success_url: str,
        cancel_url: str,
        expires_at: dt.datetime,
        idempotency_key: str,
    ) -> CreatedSession:
        """A Checkout page for one subscription.  The user's id only cross-checks."""
        metadata = {"user_id": user_id}
        parameters: SessionCreateParams = {
            "mode": "subscription",
            "customer": customer_id,
            "client_reference_id": user_id,
            "line_items": [{"price": price_id, "quantity": 1}],
            # A bank debit would be "complete" days before its money comes, or doesn't.
            "allowed_payment_method_types": ["card"],
            "success_url": success_url,
            "cancel_url": cancel_url,
            "expires_at": int(expires_at.timestamp()),
            "metadata": metadata,
            "subscription_data": {"metadata": metadata},
        }
        if coupon_id is not None:
            parameters["discounts"] = [{"coupon": coupon_id}]
        session = self._v1.checkout.sessions.create(
            parameters, {"idempotency_key": idempotency_key}
        ).to_dict()
        return CreatedSession(
            id=session["id"],
            url=session["url"],
            total_cents=session["amount_total"],
            expires_at=_moment(session["expires_at"]),
        )

    @_translated
    def expire_session(self, session_id: str) -> None:
        """Closes a session's page; StripeRefused when it is complete or has expired."""
        self._v1.checkout.sessions.expire(session_id)

    @_translated
    def portal_url(self, *, customer_id: str, configuration_id: str | None, return_url: str) -> str:
        """A page where the customer manages card, invoices, plan and cancellation."""
        parameters: PortalParams = {"customer": customer_id, "return_url": return_url}
        if configuration_id:
            parameters["configuration"] = configuration_id
        return self._v1.billing_portal.sessions.create(parameters).url

    # What we do to money --------------------------------------------------------------------

    @_translated
    def refund(self, payment_intent_id: str, *, idempotency_key: str) -> int:
        """Cents given back now; 0 where all of it was before."""
        try:
            refund = self._v1.refunds.create(
                {"payment_intent": payment_intent_id, "metadata": {"by": "scalix"}},
                {"idempotency_key": idempotency_key},
            )
        except stripe.InvalidRequestError as error:
            if error.code == "charge_already_refunded":
                return 0
            raise
        return refund.amount

    @_translated
    def cancel_now(self, subscription_id: str, *, idempotency_key: str) -> None:
        """Ends a subscription at once.  One that has ended already stays so."""
        try:
            self._v1.subscriptions.cancel(subscription_id, {}, {"idempotency_key": idempotency_key})
        except stripe.InvalidRequestError as error:
            if error.code != "resource_missing":
                raise

    @_translated
    def credit(
        self, customer_id: str, *, cents: int, note: str, reference: str, idempotency_key: str
    ) -> None:
        """Takes `cents` off the customer's next invoices, once for each `reference`.

        It is looked for first: a key is forgotten after a day, and is not the same after a failure.
        """
        balance = self._v1.customers.balance_transactions
        listed = balance.list(customer_id, {"limit": 100})
        if any(
            one.to_dict()["metadata"].get(OBJECT_KEY) == reference
            for one in listed.auto_paging_iter()
        ):
            return
        balance.create(
            customer_id,
            {
                "amount": -cents,
                "currency": "usd",
                "description": note,
                "metadata": {OBJECT_KEY: reference},
            },
            {"idempotency_key": idempotency_key},
        )

    # Events ---------------------------------------------------------------------------------

    @_translated
    def events_since(self, since: dt.datetime, types: Sequence[str]) -> list[dict[str, Any]]:
        """The events of these types (at most 20) created since, oldest first."""
        listed = self._v1.events.list(
            {"created": {"gte": int(since.timestamp())}, "types": list(types), "limit": 100}
        )
        return [event.to_dict() for event in listed.auto_paging_iter()][::-1]

    @_translated
    def customer_of_charge(self, charge_id: str) -> str | None:
        """Whose charge it is; None where it is nobody's or there is none."""
        try:
            charge = self._v1.charges.retrieve(charge_id).to_dict()
        except stripe.InvalidRequestError:
            return None
        customer = charge.get("customer")
        return customer if isinstance(customer, str) else None

    # What is for sale -----------------------------------------------------------------------

    @_translated
    def product(self, product_id: str) -> dict[str, Any] | None:
        """The product with this id, or None."""
        return _or_none(lambda: self._v1.products.retrieve(product_id))

    @_translated
    def put_product(self, product_id: str, name: str, *, exists: bool) -> None:
        """Creates the product, or gives it this name and sells it again."""
        if exists:
            self._v1.products.update(product_id, {"name": name, "active": True})
        else:
            self._v1.products.create(
                {"id": product_id, "name": name, "metadata": {OBJECT_KEY: product_id}}
            )

    @_translated
    def price_with_lookup_key(self, lookup_key: str) -> dict[str, Any] | None:
        """The active price that has this lookup key now, or None."""
        found = self._v1.prices.list({"lookup_keys": [lookup_key], "active": True}).data
        return found[0].to_dict() if found else None

    @_translated
    def create_price(
        self, *, product_id: str, lookup_key: str, cents: int, currency: str, interval: str
    ) -> str:
        """The new price's id.  It takes the lookup key from whichever price had it."""
        price = self._v1.prices.create(
            {
                "product": product_id,
                "unit_amount": cents,
                "currency": currency,
                "recurring": {"interval": interval},
                "lookup_key": lookup_key,
                "transfer_lookup_key": True,
                "metadata": {OBJECT_KEY: lookup_key},
            }
        )
        return price.id

    @_translated
    def retire_price(self, price_id: str) -> None:
        """Sells it no more; subscriptions that have it keep it."""
        self._v1.prices.update(price_id, {"active": False})

    @_translated
    def coupon_exists(self, coupon_id: str) -> bool:
        """Whether there is a coupon with this id that can be used."""
        found = _or_none(lambda: self._v1.coupons.retrieve(coupon_id))
        return found is not None and found["valid"]

    @_translated
    def create_coupon(
        self, *, coupon_id: str, name: str, cents: int, currency: str, product_id: str
    ) -> None:
        """A coupon that takes `cents` off the first invoice, of this product only."""
        self._v1.coupons.create(
            {
                "id": coupon_id,
                "name": name,
                "amount_off": cents,
                "currency": currency,
                "duration": "once",
                "applies_to": {"products": [product_id]},
                "metadata": {OBJECT_KEY: coupon_id},
            }
        )

    @_translated
    def portal_configuration(self, key: str) -> dict[str, Any] | None:
        """Our Billing Portal configuration, or None."""
        listed = self._v1.billing_portal.configurations.list({"active": True, "limit": 100})
        found = (one.to_dict() for one in listed.auto_paging_iter())
        return next((one for one in found if one["metadata"].get(OBJECT_KEY) == key), None)

    @_translated
    def put_portal_configuration(self, configuration_id: str, wanted: dict[str, Any]) -> str:
        """Creates it, or updates the one with this id; its id."""
        configurations: Any = self._v1.billing_portal.configurations
        if configuration_id:
            configurations.update(configuration_id, wanted)
            return configuration_id
        created: str = configurations.create(wanted).id
        return created


def _or_none(retrieve: Callable[[], Any]) -> dict[str, Any] | None:
    """What was retrieved; None where there is none, or where it was deleted."""
    try:
        found: dict[str, Any] = retrieve().to_dict()
    except stripe.InvalidRequestError as error:
        if error.code != "resource_missing":
            raise
        return None
    return None if found.get("deleted") else found


def web_api() -> StripeApi:
    """For one request of a page, which waits PAGE_BEGINS + PAGE_TIMEOUT at most for its calls."""
    api = StripeApi(
        key=settings.STRIPE_SECRET_KEY,
        base=settings.STRIPE_API_BASE,
        timeout=PAGE_TIMEOUT,
        retries=0,
    )
    api.deadline = time.monotonic() + PAGE_BEGINS
    return api


def worker_api() -> StripeApi:
    """For the worker and the commands."""
    return StripeApi(key=settings.STRIPE_SECRET_KEY, base=settings.STRIPE_API_BASE)


def verified(payload: bytes, header: str, secrets: Sequence[str]) -> dict[str, Any]:
    """The event in a webhook's body, if one of the secrets signed it within five minutes of now.

    Raises BadSignature for everything else that can be sent, be it no JSON or no event.
    """
    # The SDK's check raises TypeError on a signature that isn't ASCII and takes any timestamp
    # that is to come, which would be good for ever.
    if not header.isascii():
        raise BadSignature("the signature is not ASCII")
    for secret in secrets:
        try:
            stripe.WebhookSignature.verify_header(payload, header, secret, _TOLERANCE_SECONDS)
        except (stripe.SignatureVerificationError, ValueError):
            continue
        break
    else:
        raise BadSignature("no secret of ours made this signature now")
    signed_at = next(part[2:] for part in header.split(",") if part.startswith("t="))
    if int(signed_at) > time.time() + _TOLERANCE_SECONDS:
        raise BadSignature("the signature is from the future")
    try:
        event = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise BadSignature("the body is no JSON") from error
    if not isinstance(event, dict) or event.get("object") != "event":
        raise BadSignature("the body is no event")
    return event


def _moment(seconds: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


def _item(subscription: dict[str, Any]) -> dict[str, Any]:
    """The item that is ours, else the first: periods and prices are the items' since 2025."""
    items: list[dict[str, Any]] = subscription["items"]["data"]
    return next((item for item in items if _key_of(item["price"]) in PRICES), items[0])


def _key_of(price: dict[str, Any]) -> str:
    return (price.get("metadata") or {}).get(OBJECT_KEY) or price.get("lookup_key") or ""


def _subscription(
    found: dict[str, Any],
    invoices: tuple[InvoiceState, ...],
    earlier_disputes: tuple[str, ...] = (),
) -> SubscriptionState:
    item = _item(found)
    price = item["price"]
    ends = found.get("cancel_at")
    if ends is None and found.get("cancel_at_period_end"):
        ends = item["current_period_end"]
    return SubscriptionState(
        id=found["id"],
        status=found["status"],
        created_at=_moment(found["created"]),
        price_key=_key_of(price),
        period_starts_at=_moment(item["current_period_start"]),
        period_ends_at=_moment(item["current_period_end"]),
        price_cents=price.get("unit_amount") or 0,
        cancels_at=_moment(ends) if ends else None,
        invoices=invoices,
        earlier_disputes=earlier_disputes,
    )


def _weightiest(statuses: Iterable[str]) -> str:
    """Of several disputes about one invoice: one that is lost, else one that is open."""
    return min(statuses, key=lambda one: (one != "lost", one in ("", *DECIDED), one == ""))


def _subscription_of(invoice: dict[str, Any]) -> str:
    details = (invoice.get("parent") or {}).get("subscription_details") or {}
    found = details.get("subscription") or ""
    return found if isinstance(found, str) else str(found["id"])


def _card(customer: dict[str, Any], subscriptions: Sequence[dict[str, Any]]) -> CardState | None:
    """The card of a subscription that goes on, else the customer's own."""
    going_on = [one for one in subscriptions if one["status"] not in OVER]
    methods = [one.get("default_payment_method") for one in going_on]
    methods.append((customer.get("invoice_settings") or {}).get("default_payment_method"))
    for method in methods:
        card = method.get("card") if isinstance(method, dict) else None
        if card:
            return CardState(card["brand"], card["last4"], card.get("fingerprint") or "")
    return None
