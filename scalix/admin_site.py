"""How the admin looks and where its menu leads: the UNFOLD setting.

Settings import this, so nothing here may touch a model.
"""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy

_BRAND = {
    "50": "#f0faf8",
    "100": "#e3f2ef",
    "200": "#bfe4dd",
    "300": "#8fd0c6",
    "400": "#4fd1bd",
    "500": "#1b9385",
    "600": "#0f6b62",
    "700": "#0c5850",
    "800": "#0a4741",
    "900": "#083b36",
    "950": "#04211d",
}


def _may_view(app: str, model: str) -> Callable[[HttpRequest], bool]:
    return lambda request: request.user.has_perm(f"{app}.view_{model}")


def _item(title: str, icon: str, app: str, model: str) -> dict[str, Any]:
    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(f"admin:{app}_{model}_changelist"),
        "permission": _may_view(app, model),
    }


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Scalix staff",
    "SITE_HEADER": "Scalix",
    "SITE_SUBHEADER": "Staff",
    "SITE_URL": "/",
    "SITE_ICON": lambda _request: static("scalix/favicon.svg"),
    "SITE_FAVICONS": [
        {
            "rel": "icon",
            "type": "image/svg+xml",
            "href": lambda _request: static("scalix/favicon.svg"),
        },
    ],
    "SHOW_HISTORY": True,
    "SHOW_BACK_BUTTON": True,
    "BORDER_RADIUS": "8px",
    "COLORS": {"primary": _BRAND},
    "LOGIN": {"form": "scalix.staff_login.StaffLoginForm"},
    "DASHBOARD_CALLBACK": "scalix.admin_dashboard.fill_index",
    "COMMAND": {"search_callback": "scalix.admin_search.find"},
    "SIDEBAR": {
        "command_search": True,
        "navigation": [
            {
                "items": [
                    {
                        "title": "Overview",
                        "icon": "monitoring",
                        "link": reverse_lazy("admin:index"),
                    }
                ],
            },
            {
                "title": "People",
                "separator": True,
                "items": [
                    _item("Users", "person", "accounts", "user"),
                    _item("Tokens", "key", "accounts", "apitoken"),
                    _item("Visitors", "directions_walk", "accounts", "visitor"),
                ],
            },
            {
                "title": "Billing",
                "separator": True,
                "items": [
                    _item("Ledger", "receipt_long", "billing", "ledgerentry"),
                    _item("Refusals", "block", "billing", "refusal"),
                    _item("Subscriptions", "card_membership", "billing", "subscription"),
                    _item("Plans and limits", "tune", "billing", "plan"),
                    _item("Allowances", "add_moderator", "billing", "allowance"),
                    _item("Prices", "sell", "billing", "price"),
                ],
            },
            {
                "title": "Payments",
                "separator": True,
                "items": [
                    _item("Customers", "credit_card", "billing", "customer"),
                    _item("Inbox", "inbox", "billing", "webhookevent"),
                    _item("Audit trail", "history", "billing", "tierchange"),
                    _item("Checkouts", "shopping_cart", "billing", "checkout"),
                    _item("Repayments", "undo", "billing", "repayment"),
                    _item("Referrals", "group_add", "billing", "referral"),
                    _item("Referral codes", "qr_code", "billing", "referralcode"),
                    _item("Held offers", "percent", "billing", "heldoffer"),
                    _item("Mails", "mail", "billing", "outgoingmail"),
                    _item("Funnel", "filter_alt", "billing", "funnelevent"),
                    _item("Objects at Stripe", "category", "billing", "syncedobject"),
                    _item("Reconciler", "sync", "billing", "reconcilerrun"),
                ],
            },
            {
                "title": "Catalogue",
                "separator": True,
                "items": [
                    _item("Models", "neurology", "gateway", "publicmodel"),
                    _item("Deployments", "dns", "gateway", "deployment"),
                    _item("Quality", "speed", "gateway", "qualitystanding"),
                    _item("Health history", "history", "gateway", "healthevent"),
                    _item("Ratings", "thumbs_up_down", "gateway", "rating"),
                    _item("Probes", "vital_signs", "gateway", "proberesult"),
                ],
            },
            {
                "title": "Safety",
                "separator": True,
                "items": [
                    _item("Abuse queue", "gavel", "gateway", "abusecase"),
                    _item("Abuse thresholds", "tune", "gateway", "abusethresholds"),
                    _item("Content rules", "rule", "gateway", "contentrule"),
                ],
            },
            {
                "title": "Operation",
                "separator": True,
                "items": [
                    _item("Gateway processes", "memory", "billing", "gatewayprocess"),
                    _item("Staff groups", "shield_person", "auth", "group"),
                ],
            },
        ],
    },
}
