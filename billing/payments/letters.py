"""Which mails a refreshed customer is owed.  Receipts are Stripe's."""

from collections.abc import Sequence

from billing import mails
from billing.payments.entitlement import Entitlement
from billing.payments.models import Customer, TierChange
from billing.payments.states import SubscriptionState
from billing.tiers import Tier


def write(
    customer: Customer,
    given: Entitlement,
    change: TierChange | None,
    returned: Sequence[SubscriptionState],
) -> None:
    """Owes the mails about what changed; `customer` still holds what was known before.

    `returned`: second subscriptions that were given back, now or before.
    """
    paid = given.subscription
    if change is not None and change.after == Tier.PRO:
        mails.owe(customer.user, "upgraded", key=f"upgraded:{change.pk}")
    if change is not None and change.after == Tier.FREE:
        mails.owe(customer.user, "downgraded", key=f"downgraded:{change.pk}", reason=given.reason)
    for second in returned:
        mails.owe(
            customer.user, "second_refunded", key=f"second:{second.id}", cents=second.paid_cents
        )
    if paid is None or given.tier != Tier.PRO:
        return
    if change is None and customer.price_key and customer.price_key != paid.price_key:
        key = f"price:{paid.id}:{paid.price_key}:{paid.period_starts_at:%Y%m%d}"
        mails.owe(customer.user, "price_changed", key=key, price_key=paid.price_key)
    if paid.cancels_at is not None and paid.cancels_at != customer.cancels_at:
        mails.owe(
            customer.user,
            "cancels",
            key=f"cancels:{paid.id}:{paid.cancels_at:%Y%m%dT%H%M%S}",
            cancels_at=paid.cancels_at.isoformat(),
        )
    unpaid = next((one for one in paid.invoices if one.status == "open"), None)
    if paid.status == "past_due" and unpaid is not None and given.ends_at is not None:
        mails.owe(
            customer.user,
            "payment_failed",
            key=f"payment_failed:{unpaid.id}",
            due_cents=unpaid.due_cents,
            next_attempt_at=unpaid.next_attempt_at and unpaid.next_attempt_at.isoformat(),
            access_ends_at=given.ends_at.isoformat(),
        )
