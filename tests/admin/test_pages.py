"""Every page of the admin opens, and no list asks the database once for each row."""

import datetime as dt
from collections.abc import Iterator

import pytest
from django.contrib import admin
from django.db import connection, models
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.identifiers import uuid7
from accounts.models import ApiToken, User, Visitor
from billing import funnel, mails
from billing.models import Allowance, GatewayProcess, Refusal, Subscription
from billing.payments.models import (
    Checkout,
    Customer,
    FunnelEvent,
    HeldOffer,
    ReconcilerRun,
    Referral,
    ReferralCode,
    Repayment,
    SyncedObject,
    TierChange,
    WebhookEvent,
)
from gateway.catalogue.seed import seed
from gateway.models import (
    AbuseCase,
    AbuseThresholds,
    ContentRule,
    Deployment,
    HealthEvent,
    Placement,
    ProbeResult,
    PublicModel,
    QualityStanding,
    Rating,
)
from tests.admin.conftest import Enter

OURS = ("accounts", "billing", "gateway", "auth")


def pages(name: str) -> list[str]:
    found = [
        f"admin:{model._meta.app_label}_{model._meta.model_name}_{name}"
        for model in admin.site._registry
        if model._meta.app_label in OURS
    ]
    return sorted(found)


def more_payments(user: User) -> None:
    """What a user leaves who pays, and brought somebody."""
    now = dt.datetime.now(dt.UTC)
    one = uuid7().hex
    customer = Customer.objects.create(user=user, mode="sandbox", stripe_id=f"cus_{one}")
    Checkout.objects.create(
        customer=customer,
        stripe_id=f"cs_{one}",
        price_key="scalix_pro_monthly",
        lines=[{"title": "Scalix Pro, a month", "cents": 2999}],
        total_cents=2999,
        expires_at=now,
    )
    WebhookEvent.objects.create(
        event_id=f"evt_{one}",
        type="invoice.paid",
        customer_stripe_id=f"cus_{one}",
        mode="sandbox",
        payload="{}",
        created_at=now,
    )
    TierChange.objects.create(user=user, before="free", after="pro", reason="active")
    Repayment.objects.create(
        subscription_id=f"sub_{one}", customer=customer, refunded_cents=2999, reason="A second one."
    )
    friend = User.objects.create_user(f"{uuid7()}@example.com")
    ReferralCode.objects.create(user=user, code=one[-16:])
    Referral.objects.create(referrer=user, referred=friend, expires_at=now)
    HeldOffer.objects.create(user=user, discount="near_limit", held_until=now)
    mails.owe(user, "upgraded", key=one)
    funnel.note(user.pk, FunnelEvent.Kind.SHOWN, window=one)
    SyncedObject.objects.create(mode="test", key=one, stripe_id=f"price_{one}")
    ReconcilerRun.objects.get_or_create(mode="sandbox")


def more_of_everything(enter: Enter, count: int) -> None:
    for number in range(count):
        user = User.objects.create_user(f"{uuid7()}@example.com")
        ApiToken.objects.issue(user=user, name="laptop")
        if number % 2:
            Subscription.objects.create(user=user, tier="pro", source="staff")
        Visitor.objects.create(ip="203.0.113.7", became=user)
        GatewayProcess.objects.create(host="web-1", pid=number)
        deployment = Deployment.objects.create(name=f"d-{user.pk}", provider="openai")
        model = PublicModel.objects.create(
            name=f"m-{user.pk}", title="M", context_window=1, max_output_tokens=1
        )
        Placement.objects.create(model=model, deployment=deployment)
        ProbeResult.objects.create(deployment=deployment, succeeded=True, latency_ms=9)
        QualityStanding.objects.create(deployment=deployment, lowered=bool(number % 2))
        HealthEvent.objects.create(deployment=deployment.name, kind="reset", text="x", by=user)
        Rating.objects.create(
            request_id=uuid7(), account_id=user.pk, deployment=deployment.name, up=True
        )
        ContentRule.objects.create(name=f"r-{user.pk}", text="bad", explanation="No.")
        AbuseCase.objects.create(account_id=user.pk, level="watch", score=50)
        enter(user.pk)
        Allowance.objects.create(
            user=user, limit="requests_per_day", kind="add", amount=number, reason="a workshop"
        )
        Refusal.objects.create(id=uuid7(), account_id=user.pk, code="model_not_found", message="No")
        more_payments(user)


@pytest.fixture
def rows(enter: Enter) -> None:
    """A few of everything."""
    seed()
    AbuseThresholds.objects.get_or_create(pk=1)
    more_of_everything(enter, 3)


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize("page", pages("changelist"))
def test_every_list_opens_and_asks_as_often_for_many_rows_as_for_few(
    staff: Client, enter: Enter, page: str
) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert staff.get(reverse(page)).status_code == 200
        return len(captured)

    queries()  # Django looks up content types once in a process's life
    few = queries()
    more_of_everything(enter, 6)
    assert queries() == few


def objects() -> Iterator[type[models.Model]]:
    for model in sorted(admin.site._registry, key=str):
        if model._meta.app_label in OURS and model._meta.model_name != "group":
            yield model


@pytest.mark.usefixtures("rows", "transactional_db")
@pytest.mark.parametrize("model", list(objects()))
def test_every_row_has_a_page(staff: Client, model: type[models.Model]) -> None:
    row = model._default_manager.all()[0]
    page = f"admin:{model._meta.app_label}_{model._meta.model_name}_change"
    assert staff.get(reverse(page, args=(row.pk,))).status_code == 200


@pytest.mark.parametrize(
    "page", ["accounts_user", "billing_subscription", "billing_price", "gateway_deployment"]
)
def test_what_can_be_added_has_a_page_for_it(staff: Client, page: str) -> None:
    assert staff.get(reverse(f"admin:{page}_add")).status_code == 200


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize("page", pages("changelist"))
def test_every_search_takes_any_text(staff: Client, page: str) -> None:
    for text in ("req_", "a@b", "%", "''", "req_01ARZ3NDEKTSV4RRFFQ69G5FAV", "scalix_abcdefgh"):
        assert staff.get(reverse(page), {"q": text}).status_code == 200
