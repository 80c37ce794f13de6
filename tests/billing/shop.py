"""Pro for sale in a running Stripe, and customers who buy it there."""

import datetime as dt
import itertools
from typing import Any

from accounts.models import User
from billing.payments import inbox
from billing.payments.catalogue import MONTHLY
from billing.payments.models import Customer, SyncedObject
from billing.payments.states import SubscriptionState
from billing.payments.stripe_api import StripeApi
from billing.payments.sync import sync
from tests.stripe_sandbox import GOOD, KEY, StripeSandbox

_numbers = itertools.count(1)


class Shop:
    """What happens at Stripe and, with `deliver`, what its webhooks say of it."""

    def __init__(self, sandbox: StripeSandbox) -> None:
        self.sandbox = sandbox
        self.api = StripeApi(key=KEY, base=sandbox.base)
        sync(self.api)
        self._price = SyncedObject.objects.get(key=MONTHLY.key).stripe_id
        self._delivered = {one["id"] for one in self._events()}  # of a test before this one

    def customer(self) -> Customer:
        """Somebody new, known to Stripe."""
        email = f"buyer-{next(_numbers)}@example.com"
        user = User.objects.create_user(email)
        stripe_id = self.api.create_customer(
            user_id=str(user.pk), email=email, idempotency_key=str(user.pk)
        )
        return Customer.objects.create(user=user, mode="sandbox", stripe_id=stripe_id)

    def buy(self, customer: Customer, number: str = GOOD) -> SubscriptionState:
        """Pays for a month of Pro; the new subscription."""
        session = self.api.create_session(
            customer_id=customer.stripe_id or "",
            user_id=str(customer.user_id),
            price_id=self._price,
            coupon_id=None,
            success_url="http://testserver/",
            cancel_url="http://testserver/",
            expires_at=dt.datetime.now(dt.UTC) + dt.timedelta(minutes=31),
            idempotency_key=f"buy-{next(_numbers)}",
        )
        assert self.sandbox.pay(session.id, number)["outcome"] == "paid"
        return self.state_of(customer)[0]

    def state_of(self, customer: Customer) -> tuple[SubscriptionState, ...]:
        """The customer's subscriptions now, newest first."""
        return self.api.fetch(customer.stripe_id or "").subscriptions

    def deliver(self, *, times: int = 1) -> int:
        """Brings every event that was not yet delivered, so many times; how many they were."""
        new = [one for one in self._events() if one["id"] not in self._delivered]
        for one in new * times:
            inbox.record(one, inbox.payload_of(one))
        self._delivered |= {one["id"] for one in new}
        return len(new)

    def _events(self) -> list[dict[str, Any]]:
        since = dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)
        return self.api.events_since(since, inbox.TYPES)
