"""What a coupon takes off."""

from decimal import ROUND_HALF_UP, Decimal

from billing.sandbox.store import Object


def off(cents: int, coupon: Object | None) -> int:
    """Cents that it takes off an amount; a percentage is rounded half up, as Stripe does."""
    if coupon is None:
        return 0
    if coupon["amount_off"]:
        return min(cents, int(coupon["amount_off"]))
    part = Decimal(cents) * Decimal(str(coupon["percent_off"])) / 100
    return int(part.quantize(Decimal(1), ROUND_HALF_UP))
