"""Brings Stripe in line with `catalogue.py`: product, prices, coupons and the portal's settings.

Run again, it changes nothing.  A price or a coupon is never edited, since Stripe doesn't allow it
and what was sold stays as it was sold: another amount is another object, and the lookup key moves.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings

from billing.payments.catalogue import CURRENCY, PRICES, PRODUCT_KEY, PRODUCT_NAME, PlanPrice
from billing.payments.checkout import PORTAL_KEY
from billing.payments.models import SyncedObject
from billing.payments.offers import Offer, discounted_offers
from billing.payments.stripe_api import OBJECT_KEY, StripeApi

_VERSION: Final = "scalix_version"


@dataclass(frozen=True, slots=True)
class Synced:
    """What was done about one object: matched, created or updated."""

    key: str
    action: str
    stripe_id: str
    """Empty where a dry run would create it."""


def sync(stripe: StripeApi, *, dry_run: bool = False) -> list[Synced]:
    """Each object in turn.  Raises StripeError; what was done before stays, and is matched then.

    A dry run asks, and writes nothing, neither at Stripe nor here.
    """
    done = []
    for synced in _Sync(stripe, dry_run).every():
        done.append(synced)
        if not dry_run:
            SyncedObject.objects.update_or_create(
                mode=settings.STRIPE_MODE,
                key=synced.key,
                defaults={"stripe_id": synced.stripe_id},
            )
    return done


class _Sync:
    def __init__(self, stripe: StripeApi, dry_run: bool) -> None:
        self._stripe = stripe
        self._dry_run = dry_run

    def every(self) -> Iterator[Synced]:
        product = self._product()
        yield product
        prices = {price.key: self._price(price, product.stripe_id) for price in PRICES.values()}
        yield from prices.values()
        for offer in discounted_offers():
            yield self._coupon(offer, product.stripe_id)
        yield self._portal(product.stripe_id, [one.stripe_id for one in prices.values()])

    def _product(self) -> Synced:
        found = self._stripe.product(PRODUCT_KEY)
        if found is not None and found["name"] == PRODUCT_NAME and found["active"]:
            return Synced(PRODUCT_KEY, "matched", PRODUCT_KEY)
        if not self._dry_run:
            self._stripe.put_product(PRODUCT_KEY, PRODUCT_NAME, exists=found is not None)
        return Synced(PRODUCT_KEY, "updated" if found else "created", PRODUCT_KEY)

    def _price(self, price: PlanPrice, product_id: str) -> Synced:
        wanted = (price.cents, CURRENCY, price.interval, 1, product_id)
        found = self._stripe.price_with_lookup_key(price.key)
        if found is not None and wanted == (
            found["unit_amount"],
            found["currency"],
            found["recurring"]["interval"],
            found["recurring"]["interval_count"],
            found["product"],
        ):
            return Synced(price.key, "matched", found["id"])
        if self._dry_run:
            return Synced(price.key, "created", "")
        stripe_id = self._stripe.create_price(
            product_id=product_id,
            lookup_key=price.key,
            cents=price.cents,
            currency=CURRENCY,
            interval=price.interval,
        )
        if found is not None:
            self._stripe.retire_price(found["id"])
        return Synced(price.key, "created", stripe_id)

    def _coupon(self, offer: Offer, product_id: str) -> Synced:
        key = offer.coupon_key  # says price, reasons and amount, so what has it is what is meant
        if self._stripe.coupon_exists(key):
            return Synced(key, "matched", key)
        if not self._dry_run:
            self._stripe.create_coupon(
                coupon_id=key,
                name=" + ".join(f"{one.percent} %" for one in offer.discounts) + " off",
                cents=offer.off_cents,
                currency=CURRENCY,
                product_id=product_id,
            )
        return Synced(key, "created", key)

    def _portal(self, product_id: str, price_ids: list[str]) -> Synced:
        wanted = _portal_settings(product_id, price_ids)
        version = hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()[:16]
        wanted["metadata"] = {OBJECT_KEY: PORTAL_KEY, _VERSION: version}
        found = self._stripe.portal_configuration(PORTAL_KEY)
        if found is not None and found["metadata"].get(_VERSION) == version:
            return Synced(PORTAL_KEY, "matched", found["id"])
        found_id = found["id"] if found else ""
        if not self._dry_run:
            found_id = self._stripe.put_portal_configuration(found_id, wanted)
        return Synced(PORTAL_KEY, "updated" if found else "created", found_id)


def _portal_settings(product_id: str, price_ids: list[str]) -> dict[str, Any]:
    """What a customer may do in the portal: everything about their own subscription."""
    return {
        "features": {
            "invoice_history": {"enabled": True},
            "payment_method_update": {"enabled": True},
            "subscription_cancel": {"enabled": True, "mode": "at_period_end"},
            "subscription_update": {
                "enabled": True,
                "default_allowed_updates": ["price"],
                "proration_behavior": "always_invoice",
                "products": [{"product": product_id, "prices": price_ids}],
            },
        },
    }
