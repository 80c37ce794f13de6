"""The admin's first page: the last 24 hours, payments, what runs, and whether providers answer.

Sums ledger rows of a day; once there are roll-ups, they are what this should read.
"""

import datetime as dt
from collections import Counter
from typing import Any, Final

from django.conf import settings
from django.db.models import Count, F, Sum
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.timesince import timesince

from accounts.identifiers import uuid7_floor
from accounts.models import User
from billing.admin import state_of
from billing.ledger_admin import STATUS_COLOURS, dollars
from billing.models import GatewayProcess, LedgerEntry
from billing.payments import figures
from billing.payments.catalogue import PRICES
from billing.templatetags.money import money, plan_price
from gateway.admin import why_not, with_latest_probe
from gateway.models import Deployment

_DAY: Final = dt.timedelta(hours=24)
_FUNNEL_DAYS: Final = 30
_MOST_CODES: Final = 8
_MOST_PROCESSES: Final = 20


def fill_index(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Unfold's hook: the context with what `templates/admin/index.html` shows."""
    since = timezone.now() - _DAY
    return context | {
        "overview": _numbers(since) if request.user.has_perm("billing.view_ledgerentry") else None,
        "payments": _payments() if request.user.has_perm("billing.view_customer") else None,
        "processes": _processes() if request.user.has_perm("billing.view_gatewayprocess") else None,
        "deployments": _deployments() if request.user.has_perm("gateway.view_deployment") else None,
    }


def _numbers(since: dt.datetime) -> dict[str, Any]:
    rows = (
        LedgerEntry.objects.filter(pk__gte=uuid7_floor(since))
        .values("status", "error_code")
        .order_by()
        .annotate(
            requests=Count("pk"),
            tokens=Sum(F("prompt_tokens") + F("completion_tokens")),
            cost=Sum("cost_micros"),
        )
    )
    statuses: Counter[str] = Counter()
    codes: Counter[str] = Counter()
    for row in rows:
        statuses[row["status"]] += row["requests"]
        if row["error_code"]:
            codes[row["error_code"]] += row["requests"]
    return {
        "requests": statuses.total() - statuses[LedgerEntry.Status.CORRECTION],
        "tokens": sum(row["tokens"] for row in rows),
        "cost": dollars(sum(row["cost"] for row in rows), places=2),
        "new_users": User.objects.filter(pk__gte=uuid7_floor(since)).count(),
        "statuses": {
            "headers": ["Status", "Requests"],
            "rows": [
                [_label(status, STATUS_COLOURS[status]), _link(_rows_of(status), count)]
                for status, count in statuses.most_common()
            ],
        },
        "errors": {
            "headers": ["Code", "Requests"],
            "rows": [[code, f"{count:,}"] for code, count in codes.most_common(_MOST_CODES)],
        },
    }


def _rows_of(status: str) -> str:
    return reverse("admin:billing_ledgerentry_changelist", query={"status__exact": status})


def _payments() -> dict[str, Any]:
    sales = figures.sales()
    return {
        "monthly": money(sales.monthly_cents),
        "paying": sum(sales.paying.values()),
        "past_due": sales.past_due,
        "disputed": sales.disputed,
        "prices": {
            "headers": ["Price", "Users on it"],
            "rows": [
                [plan_price(key), _link(_customers_of(key), sales.paying[key])] for key in PRICES
            ],
        },
        "running": {
            "headers": ["Part", "State", "Since"],
            "rows": _running() if settings.PAYMENTS else [["Payments", _label("off", "info"), "–"]],
        },
        "funnel": {
            "headers": ["Step", "Accounts", "Of the step before"],
            "rows": _funnel(),
        },
        "funnel_title": f"On the way to paying, the last {_FUNNEL_DAYS} days",
    }


def _customers_of(price_key: str) -> str:
    return reverse("admin:billing_customer_changelist", query={"price_key": price_key})


def _running() -> list[list[str]]:
    """Each part with its state, which is a warning where somebody should look."""
    now = timezone.now()
    found = figures.running(now)
    late = found.oldest_at is not None and now - found.oldest_at > figures.INBOX_LATE
    stopped = found.reconciled_at is None or now - found.reconciled_at > figures.RECONCILER_LATE
    ran = "has not run" if found.reconciled_at is None else "late" if stopped else "runs"
    events = reverse("admin:billing_webhookevent_changelist", query={"foreign_version__exact": 1})
    mails = reverse("admin:billing_outgoingmail_changelist", query={"state": "given_up"})
    return [
        [
            "Mode",
            _label(settings.STRIPE_MODE, "success" if settings.STRIPE_MODE == "live" else "info"),
            "–",
        ],
        [
            "Events in the inbox",
            _label(f"{found.waiting:,} waiting", "danger" if late else "success"),
            _ago(found.oldest_at),
        ],
        [
            "Reconciler",
            _label(found.reconciler_error or ran, "danger" if stopped else "success"),
            _ago(found.reconciled_at),
        ],
        [
            _link(events, "Events of another API version"),
            _label(f"{found.foreign_events:,}", "danger" if found.foreign_events else "success"),
            "the last 24 hours",
        ],
        [
            _link(mails, "Mails"),
            _label(
                f"{found.unsent_mails:,} not sent, {found.given_up_mails:,} given up",
                "warning" if found.given_up_mails else "success",
            ),
            "–",
        ],
    ]


def _ago(moment: dt.datetime | None) -> str:
    return f"{timesince(moment)} ago" if moment else "–"


def _funnel() -> list[list[str]]:
    rows: list[list[str]] = []
    before = 0
    for step, accounts in figures.funnel_since(
        timezone.now() - dt.timedelta(days=_FUNNEL_DAYS)
    ).items():
        share = f"{accounts / before:.1%}" if before else "–"
        rows.append([step, f"{accounts:,}", share])
        before = accounts
    return rows


def _processes() -> dict[str, Any]:
    running = GatewayProcess.objects.filter(ended_at=None).order_by("-heartbeat_at")
    return {
        "headers": ["Process", "State", "Up for", "Last heartbeat"],
        "rows": [
            [
                str(process),
                _label(*state_of(process)),
                timesince(process.started_at),
                f"{timesince(process.heartbeat_at)} ago",
            ]
            for process in running[:_MOST_PROCESSES]
        ],
    }


def _deployments() -> dict[str, Any]:
    return {
        "headers": ["Deployment", "State", "Latest probe"],
        "rows": [
            [
                _link(reverse("admin:gateway_deployment_change", args=(row.pk,)), row.name),
                _label(why_not(row) or "usable", "warning" if why_not(row) else "success"),
                _probe(row),
            ]
            for row in with_latest_probe(Deployment.objects.filter(enabled=True))
        ],
    }


def _probe(deployment: Any) -> str:
    if deployment.answered is None:
        return "–"
    if not deployment.answered:
        return _label("failed", "danger")
    return f"{deployment.answered_ms:,} ms"


def _label(text: str, variant: str) -> str:
    return render_to_string("unfold/helpers/label.html", {"text": text, "variant": variant})


def _link(url: str, text: object) -> str:
    shown = f"{text:,}" if isinstance(text, int) else text
    return format_html('<a class="underline" href="{}">{}</a>', url, shown)
