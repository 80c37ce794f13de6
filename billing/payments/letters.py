"""Which mails a refreshed customer is owed.  Receipts are Stripe's."""

from django.utils import timezone

from billing import mails
from billing.models import Subscription
from billing.payments.entitlement import Entitlement
from billing.payments.models import Customer, TierChange
from billing.tiers import Tier


def write(customer: Customer, given: Entitlement, change: TierChange | None) -> None:
    """Owes the mails about what changed; `customer` still holds what was known before.

    It is asked under the customer's lock, in the transaction that ends what was known before: each
    change is seen once.
    """
    paid, now = given.subscription, timezone.now()
    if change is not None and change.after == Tier.PRO:
        mails.owe(customer.user, "upgraded", key=f"upgraded:{change.pk}")
    granted = Subscription.objects.tier_of(customer.user_id) == Tier.PRO
    if change is not None and change.after == Tier.FREE and not granted:
        mails.owe(customer.user, "downgraded", key=f"downgraded:{change.pk}", reason=given.reason)
    if paid is None or given.tier != Tier.PRO:
        return
    if change is None and customer.price_key and customer.price_key != paid.price_key:
        key = f"price:{paid.id}:{now.isoformat()}"
        mails.owe(customer.user, "price_changed", key=key, price_key=paid.price_key)
    if paid.cancels_at is not None and paid.cancels_at != customer.cancels_at:
        mails.owe(
            customer.user,
            "cancels",
            key=f"cancels:{paid.id}:{now.isoformat()}",
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
