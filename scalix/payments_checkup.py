"""What `manage.py doctor` looks at of payments: the key, what is for sale, and what arrives."""

from typing import Final

from django.conf import settings
from django.utils import timezone
from django.utils.timesince import timesince

from billing.payments import figures
from billing.payments.catalogue import MONTHLY, PRICES, PRODUCT_KEY
from billing.payments.checkout import PORTAL_KEY
from billing.payments.models import SyncedObject
from billing.payments.offers import discounted_offers
from billing.payments.stripe_api import API_VERSION, StripeAway, StripeRefused, web_api
from scalix.findings import FAIL, OK, WARN, Finding

_MODES: Final = {
    "sandbox": "the embedded sandbox: no money moves",
    "test": "Stripe, test mode: no money moves",
    "live": "Stripe, live mode",
}
_MOST_NAMES: Final = 3
_NO_WORKER: Final = "start the worker and beat: see worker"


def payments() -> Finding:
    """Whether users can pay, and with what money."""
    if not settings.PAYMENTS:
        if settings.EMBEDDED_STRIPE:
            return Finding("payments", WARN, "the sandbox is not running", "see web")
        return Finding("payments", OK, "off: STRIPE_SECRET_KEY is not set")
    if not settings.STRIPE_WEBHOOK_SECRETS:
        return Finding("payments", FAIL, "no webhook counts", "set STRIPE_WEBHOOK_SECRET")
    if settings.STRIPE_MODE != "live" and settings.PUBLIC_URL.startswith("https://"):
        return Finding(
            "payments", WARN, _MODES[settings.STRIPE_MODE], "set STRIPE_SECRET_KEY to a live key"
        )
    return Finding("payments", OK, _MODES[settings.STRIPE_MODE])


def stripe() -> Finding:
    """Whether Stripe answers to the key: one call."""
    where = settings.STRIPE_API_BASE or "Stripe"
    try:
        web_api().price_with_lookup_key(MONTHLY.key)
    except StripeAway as error:
        return Finding("stripe", WARN, f"no answer from {where}: {error}", "nobody can upgrade now")
    except StripeRefused as error:
        return Finding("stripe", FAIL, f"{where} refuses: {error}", "check STRIPE_SECRET_KEY")
    return Finding("stripe", OK, f"{where} answers to the key")


def prices() -> Finding:
    """Whether what is for sale was brought to Stripe."""
    coupons = {offer.coupon_key for offer in discounted_offers()}
    wanted = {PRODUCT_KEY, *PRICES, PORTAL_KEY, *coupons}
    synced = SyncedObject.objects.filter(mode=settings.STRIPE_MODE, key__in=wanted)
    missing = sorted(wanted - set(synced.values_list("key", flat=True)))
    if missing:
        more = f" and {len(missing) - _MOST_NAMES} more" if len(missing) > _MOST_NAMES else ""
        names = ", ".join(missing[:_MOST_NAMES]) + more
        return Finding("prices", FAIL, f"not at Stripe yet: {names}", "run `manage.py sync_stripe`")
    return Finding("prices", OK, "product, prices, discounts and portal are at Stripe")


def reconciler() -> Finding:
    """Whether somebody looks for lost payments."""
    now = timezone.now()
    found = figures.running(now)
    if found.reconciled_at is None:
        reason = found.reconciler_error or "has not run yet"
        return Finding("reconciler", WARN, reason, _NO_WORKER)
    ran = f"ran {timesince(found.reconciled_at)} ago".replace("\xa0", " ")
    if now - found.reconciled_at > figures.RECONCILER_LATE:
        error = f", then {found.reconciler_error}" if found.reconciler_error else ""
        return Finding("reconciler", WARN, ran + error, _NO_WORKER)
    return Finding("reconciler", OK, ran)


def inbox() -> Finding:
    """Whether events are acted on, and come in the version that the code knows."""
    now = timezone.now()
    found = figures.running(now)
    if found.oldest_at is not None and now - found.oldest_at > figures.INBOX_LATE:
        oldest = timesince(found.oldest_at).replace("\xa0", " ")
        return Finding(
            "inbox", WARN, f"{found.waiting:,} waiting, the oldest for {oldest}", _NO_WORKER
        )
    if found.foreign_events:
        return Finding(
            "inbox",
            WARN,
            f"{found.foreign_events:,} events of the last day have another API version",
            f"set the webhook endpoint's to {API_VERSION}",
        )
    return Finding("inbox", OK, f"{found.waiting:,} waiting")
