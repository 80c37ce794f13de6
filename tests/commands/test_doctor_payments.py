"""What the doctor says of payments: the key, what is for sale, and whether payments arrive."""

import datetime as dt
import json

import pytest
from django.utils import timezone
from pytest_django import Settings

from billing.payments import inbox
from billing.payments.models import ReconcilerRun, SyncedObject, WebhookEvent
from billing.payments.stripe_api import API_VERSION
from tests.billing.fake_stripe import event, text_of
from tests.commands.doctor import Findings, examine
from tests.stripe_sandbox import KEY, SECRET, StripeSandbox

MINUTE = dt.timedelta(minutes=1)


@pytest.fixture(autouse=True)
def _redis(db: None, redis_url: str) -> None:
    """The doctor looks at the counters, too."""


def verdicts(*checks: str) -> tuple[str, ...]:
    findings = examine()[0]
    return tuple(findings[check]["verdict"] for check in checks)


def finding(check: str) -> tuple[str, str]:
    """Its verdict, and its words."""
    found = examine()[0][check]
    return found["verdict"], f"{found['message']} → {found['advice']}"


def test_payments_that_work_are_ok(sandbox: StripeSandbox) -> None:
    ReconcilerRun.objects.create(mode="sandbox", ran_at=timezone.now())
    checks = ("payments", "stripe", "prices", "reconciler", "inbox")
    assert verdicts(*checks) == ("OK",) * 5


def test_without_a_key_payments_are_off_and_nothing_else_is_asked(settings: Settings) -> None:
    settings.PAYMENTS = False
    findings: Findings = examine()[0]
    assert findings["payments"]["message"] == "off: STRIPE_SECRET_KEY is not set"
    assert not {"stripe", "prices", "reconciler", "inbox"} & set(findings)


def test_a_sandbox_that_does_not_run_is_warned_of(settings: Settings) -> None:
    settings.PAYMENTS, settings.EMBEDDED_STRIPE = False, True
    assert finding("payments")[0] == "WARN"


@pytest.mark.parametrize("mode", ["sandbox", "test"])
def test_play_money_on_a_public_site_is_warned_of(mode: str, settings: Settings) -> None:
    settings.STRIPE_MODE = mode
    assert finding("payments")[0] == "OK"
    settings.PUBLIC_URL = "https://scalix.example"
    verdict, words = finding("payments")
    assert (verdict, "no money moves" in words) == ("WARN", True)


def test_without_a_webhook_secret_no_payment_would_count(settings: Settings) -> None:
    settings.STRIPE_WEBHOOK_SECRETS = []
    verdict, words = finding("payments")
    assert (verdict, "STRIPE_WEBHOOK_SECRET" in words) == ("FAIL", True)


def test_a_stripe_that_is_away_is_warned_of() -> None:
    verdict, words = finding("stripe")  # the tests' settings name nobody's address
    assert (verdict, "no answer from http://127.0.0.1:9" in words) == ("WARN", True)


def test_a_key_that_stripe_refuses_fails(sandbox: StripeSandbox, settings: Settings) -> None:
    settings.STRIPE_SECRET_KEY = "sk_test_of_somebody_else"
    verdict, words = finding("stripe")
    assert (verdict, "check STRIPE_SECRET_KEY" in words) == ("FAIL", True)


def test_no_secret_is_ever_shown(sandbox: StripeSandbox) -> None:
    report = json.dumps(examine()[0])
    assert KEY not in report
    assert SECRET not in report


def test_what_is_not_for_sale_yet_fails_with_the_command(sandbox: StripeSandbox) -> None:
    SyncedObject.objects.filter(key="scalix_pro_annual").delete()
    SyncedObject.objects.filter(key="portal").update(mode="live")
    verdict, words = finding("prices")
    assert verdict == "FAIL"
    assert words == "not at Stripe yet: portal, scalix_pro_annual → run `manage.py sync_stripe`"


def test_a_discount_that_is_not_at_stripe_fails_too(sandbox: StripeSandbox) -> None:
    SyncedObject.objects.filter(key__startswith="scalix_pro_monthly-first_month").delete()
    verdict, words = finding("prices")
    assert (verdict, "and 1 more" in words) == ("FAIL", True)


def test_a_reconciler_that_stopped_is_warned_of() -> None:
    assert finding("reconciler")[0] == "WARN"
    run = ReconcilerRun.objects.create(mode="sandbox", ran_at=timezone.now() - 29 * MINUTE)
    assert finding("reconciler") == ("OK", "ran 29 minutes ago → ")
    run.ran_at, run.error = timezone.now() - 31 * MINUTE, "APIConnectionError"
    run.save()
    verdict, words = finding("reconciler")
    assert (verdict, "31 minutes ago, then APIConnectionError" in words) == ("WARN", True)


def receive(**fields: str) -> None:
    found = event("invoice.paid", **fields)
    inbox.record(found, text_of(found))


def test_events_that_nobody_acts_on_are_warned_of() -> None:
    receive()
    assert finding("inbox") == ("OK", "1 waiting → ")
    WebhookEvent.objects.update(received_at=timezone.now() - 6 * MINUTE)
    verdict, words = finding("inbox")
    assert (verdict, "1 waiting, the oldest for 6 minutes" in words) == ("WARN", True)
    WebhookEvent.objects.update(state="done")
    assert finding("inbox")[0] == "OK"


def test_events_of_another_api_version_are_warned_of() -> None:
    receive(api_version="2020-08-27")
    verdict, words = finding("inbox")
    assert (verdict, API_VERSION in words) == ("WARN", True)
