"""Stripe in memory, of the shape that the worker asks: what a test says is what is so."""

import datetime as dt
import itertools
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from billing.payments.states import (
    CardState,
    CustomerState,
    InvoiceState,
    SessionState,
    SubscriptionState,
)
from billing.payments.stripe_api import API_VERSION, StripeApi, StripeAway

_numbers = itertools.count(1)


class FakeStripe(StripeApi):
    """One account.  Sessions are paid, but for those in `sessions`.

    `away` makes every call fail; `refunds` and `cancelled` are what was done.
    """

    def __init__(self) -> None:
        self.states: dict[str, CustomerState] = {}
        self.sessions: dict[str, SessionState] = {}
        self.events: list[dict[str, Any]] = []
        self.away = False
        self.fetches = 0
        self.refunds: list[str] = []
        self.cancelled: list[str] = []
        self.cards: dict[str, CardState] = {}
        self.credits: list[tuple[str, int]] = []
        self.credit_fails = False
        self._credited: set[str] = set()

    def set(
        self, customer_id: str, *subscriptions: SubscriptionState, has_paid: bool = True
    ) -> None:
        """From now on the customer has these subscriptions."""
        self.states[customer_id] = CustomerState(
            customer_id, tuple(subscriptions), has_paid=has_paid
        )

    def fetch(self, customer_id: str, session_ids: Sequence[str] = ()) -> CustomerState:
        self._answer()
        self.fetches += 1
        state = self.states.get(customer_id, CustomerState(customer_id))
        sessions = tuple(self._session(one) for one in session_ids)
        return replace(state, sessions=sessions, card=self.cards.get(customer_id))

    def _session(self, session_id: str) -> SessionState:
        return self.sessions.get(session_id, SessionState(session_id, "complete", "paid"))

    def refund(self, payment_intent_id: str, *, idempotency_key: str) -> int:
        self._answer()
        if payment_intent_id not in self.refunds:
            self.refunds.append(payment_intent_id)
        return 0

    def cancel_now(self, subscription_id: str, *, idempotency_key: str) -> None:
        self._answer()
        self.cancelled.append(subscription_id)
        for customer_id, state in self.states.items():
            left = [
                replace(one, status="canceled") if one.id == subscription_id else one
                for one in state.subscriptions
            ]
            self.states[customer_id] = replace(state, subscriptions=tuple(left))

    def credit(
        self, customer_id: str, *, cents: int, note: str, reference: str, idempotency_key: str
    ) -> None:
        self._answer()
        if self.credit_fails:
            raise StripeAway("APIConnectionError")
        if reference not in self._credited:
            self._credited.add(reference)
            self.credits.append((customer_id, cents))

    def every_subscription(self) -> list[tuple[str, SubscriptionState]]:
        self._answer()
        return [(key, one) for key, state in self.states.items() for one in state.subscriptions]

    def events_since(self, since: dt.datetime, types: Sequence[str]) -> list[dict[str, Any]]:
        self._answer()
        seen = [one for one in self.events if one["created"] >= int(since.timestamp())]
        return [one for one in seen if one["type"] in types]

    def customer_of_charge(self, charge_id: str) -> str | None:
        self._answer()
        return next(iter(self.states), None)

    def _answer(self) -> None:
        if self.away:
            raise StripeAway("APIConnectionError")


def subscription(status: str = "active", **fields: Any) -> SubscriptionState:
    """A monthly subscription, ten days into its period, that was paid for."""
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    day = dt.timedelta(days=1)
    identifier = fields.get("id", "sub_1")
    paid = InvoiceState(
        f"in_{identifier}",
        "paid",
        now - 10 * day,
        2999,
        2999,
        payment_intents=(f"pi_{identifier}",),
    )
    plain = {
        "id": identifier,
        "created_at": now - 40 * day,
        "price_key": "scalix_pro_monthly",
        "period_starts_at": now - 10 * day,
        "period_ends_at": now + 20 * day,
        "invoices": (paid,),
    }
    return SubscriptionState(status=status, **{**plain, **fields})


def event(kind: str, customer_id: str | None = "cus_1", **fields: Any) -> dict[str, Any]:
    """An event as Stripe sends it, about as much of it as anybody looks at."""
    found = {"object": kind.rpartition(".")[0], "id": "obj_1", "customer": customer_id}
    return {
        "id": f"evt_{next(_numbers)}",
        "object": "event",
        "api_version": API_VERSION,
        "created": int(dt.datetime.now(dt.UTC).timestamp()),
        "livemode": False,
        "type": kind,
        "data": {"object": found},
        **fields,
    }


def text_of(found: Any) -> str:
    """A body, as it travels."""
    return json.dumps(found)
